create table providers (
    name text not null,
    kind text not null,
    is_keyless integer not null,
    network text,
    extra_headers_sealed text,
    content text not null,
    revision integer not null,
    created_at integer not null,
    updated_at integer not null,
    constraint providers__name primary key (name)
) strict;

create table provider_keys (
    id text not null,
    provider_name text not null,
    name text not null,
    value_sealed text,
    env_name text,
    models text not null,
    blacklisted_models text not null,
    weight real not null,
    aliases text not null,
    is_enabled integer not null,
    created_at integer not null,
    updated_at integer not null,
    constraint provider_keys__id primary key (id),
    constraint provider_keys__provider_name unique (provider_name, name),
    constraint provider_keys__providers foreign key (provider_name) references providers (name) on delete cascade
) strict;

create table price_overrides (
    provider_name text not null,
    model_key text not null,
    model text not null,
    prices text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint price_overrides__provider_name primary key (provider_name, model_key)
) strict;

create table model_configs (
    id text not null,
    model_name text not null,
    provider_name text,
    scope text not null,
    scope_id text,
    place text not null,
    content text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint model_configs__id primary key (id),
    constraint model_configs__place unique (place)
) strict;

create index model_configs_by_scope on model_configs (scope_id);

create table mcp_clients (
    id text not null,
    name text not null,
    name_key text not null,
    connection_type text not null,
    settings text not null,
    secrets_sealed text,
    search_text text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint mcp_clients__id primary key (id),
    constraint mcp_clients__name_key unique (name_key)
) strict;

create table mcp_tool_groups (
    id integer primary key autoincrement,
    name text not null,
    name_key text not null,
    description text,
    tools text not null,
    search_text text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint mcp_tool_groups__name_key unique (name_key)
) strict;
