create table roles (
    id integer primary key autoincrement,
    name text not null,
    name_key text not null,
    description text,
    is_system integer not null,
    created_at integer not null,
    updated_at integer not null,
    constraint roles__name_key unique (name_key)
) strict;

create table role_permissions (
    role_id integer not null,
    permission_id integer not null,
    constraint role_permissions__role_id primary key (role_id, permission_id),
    constraint role_permissions__roles foreign key (role_id) references roles (id) on delete cascade
) strict;

create table users (
    id text not null,
    name text not null,
    email text not null,
    email_key text not null,
    role_id integer,
    is_active integer not null,
    search_text text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint users__id primary key (id),
    constraint users__email_key unique (email_key),
    constraint users__roles foreign key (role_id) references roles (id)
) strict;

create index users_by_role on users (role_id);

create index users_by_creation on users (created_at, id);

create table management_keys (
    id text not null,
    name text not null,
    description text,
    secret_hash blob not null,
    key_prefix text not null,
    scopes text,
    expires_at integer,
    last_used_at integer,
    created_at integer not null,
    updated_at integer not null,
    constraint management_keys__id primary key (id),
    constraint management_keys__secret_hash unique (secret_hash)
) strict;

-- Teams, business units and customers: `kind` says which.
create table groups (
    id text not null,
    kind text not null,
    name text not null,
    name_key text not null,
    description text,
    content text not null,
    search_text text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint groups__id primary key (id),
    constraint groups__kind unique (kind, name_key)
) strict;

create index groups_by_creation on groups (kind, created_at, id);

create table group_members (
    group_id text not null,
    user_id text not null,
    constraint group_members__group_id primary key (group_id, user_id),
    constraint group_members__groups foreign key (group_id) references groups (id) on delete cascade,
    constraint group_members__users foreign key (user_id) references users (id) on delete cascade
) strict;

create index group_members_by_user on group_members (user_id);

create table group_parents (
    group_id text not null,
    parent_id text not null,
    constraint group_parents__group_id primary key (group_id, parent_id),
    constraint group_parents__groups foreign key (group_id) references groups (id) on delete cascade,
    constraint group_parents__parents foreign key (parent_id) references groups (id)
) strict;

create index group_parents_by_parent on group_parents (parent_id);
