create table access_profiles (
    id integer primary key autoincrement,
    name text not null,
    name_key text not null,
    description text,
    is_active integer not null,
    version integer not null,
    tags text not null,
    content text not null,
    search_text text not null,
    next_rotation_at integer,
    last_rotation_at integer,
    created_at integer not null,
    updated_at integer not null,
    constraint access_profiles__name_key unique (name_key)
) strict;

create index access_profiles_by_rotation on access_profiles (next_rotation_at);

create index access_profiles_by_activity on access_profiles (is_active, id);

create table access_profile_tags (
    tag_key text not null,
    access_profile_id integer not null,
    constraint access_profile_tags__tag_key primary key (tag_key, access_profile_id),
    constraint access_profile_tags__profiles
        foreign key (access_profile_id) references access_profiles (id) on delete cascade
) strict;

create index access_profile_tags_by_profile on access_profile_tags (access_profile_id);

create table access_profile_versions (
    id integer primary key autoincrement,
    access_profile_id integer not null,
    version integer not null,
    name text not null,
    description text,
    snapshot text not null,
    changed_by text not null,
    created_at integer not null,
    constraint access_profile_versions__access_profile_id unique (access_profile_id, version),
    constraint access_profile_versions__profiles
        foreign key (access_profile_id) references access_profiles (id) on delete cascade
) strict;

create table access_profile_roles (
    id integer primary key autoincrement,
    access_profile_id integer not null,
    role_id integer not null,
    is_default integer not null,
    created_at integer not null,
    constraint access_profile_roles__access_profile_id unique (access_profile_id, role_id),
    constraint access_profile_roles__profiles
        foreign key (access_profile_id) references access_profiles (id) on delete cascade,
    constraint access_profile_roles__roles foreign key (role_id) references roles (id) on delete cascade
) strict;

create index access_profile_roles_by_role on access_profile_roles (role_id);

-- One row for each profile that a user holds or has held: a copy that was taken away stays, with its line ids, so that
-- giving the profile back finds the same counters.
create table user_copies (
    id text not null,
    user_id text not null,
    parent_profile_id integer not null,
    name text not null,
    profile_version integer not null,
    is_active integer not null,
    expires_at integer,
    priority integer not null,
    assigned_at integer not null,
    source text not null,
    detached_at integer,
    content text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint user_copies__id primary key (id),
    constraint user_copies__user_id unique (user_id, parent_profile_id),
    constraint user_copies__users foreign key (user_id) references users (id) on delete cascade,
    constraint user_copies__profiles
        foreign key (parent_profile_id) references access_profiles (id) on delete cascade
) strict;

create index user_copies_by_profile on user_copies (parent_profile_id, detached_at, user_id);

create index user_copies_by_expiry on user_copies (expires_at);

create table budget_overrides (
    copy_id text not null,
    budget_id text not null,
    amount integer not null,
    cycles integer,
    ends_at integer,
    created_at integer not null,
    constraint budget_overrides__copy_id primary key (copy_id, budget_id),
    constraint budget_overrides__copies foreign key (copy_id) references user_copies (id) on delete cascade
) strict;

create table group_profiles (
    group_id text not null,
    id text not null,
    parent_profile_id integer not null,
    mode text not null,
    name text not null,
    profile_version integer not null,
    is_active integer not null,
    assigned_at integer not null,
    detached_at integer,
    content text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint group_profiles__id primary key (id),
    constraint group_profiles__group_id unique (group_id, parent_profile_id),
    constraint group_profiles__groups foreign key (group_id) references groups (id) on delete cascade,
    constraint group_profiles__profiles
        foreign key (parent_profile_id) references access_profiles (id) on delete cascade
) strict;

create index group_profiles_by_profile on group_profiles (parent_profile_id, detached_at);

create table virtual_keys (
    id text not null,
    name text not null,
    name_key text not null,
    description text,
    secret_hash blob not null,
    masked_value text not null,
    previous_hash blob,
    previous_until integer,
    user_id text,
    group_id text,
    is_managed integer not null,
    is_active integer not null,
    expires_at integer,
    content text not null,
    search_text text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint virtual_keys__id primary key (id),
    constraint virtual_keys__name_key unique (name_key),
    constraint virtual_keys__secret_hash unique (secret_hash),
    constraint virtual_keys__previous_hash unique (previous_hash),
    constraint virtual_keys__users foreign key (user_id) references users (id) on delete cascade,
    constraint virtual_keys__groups foreign key (group_id) references groups (id) on delete cascade
) strict;

create index virtual_keys_by_user on virtual_keys (user_id, created_at);

create index virtual_keys_by_group on virtual_keys (group_id, created_at);

create index virtual_keys_by_creation on virtual_keys (created_at, id);
