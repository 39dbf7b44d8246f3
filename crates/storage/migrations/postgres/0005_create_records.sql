-- `hash` chains every entry to the one before it, with a key that the database does not hold in clear.
create table audit_entries (
    position bigint not null,
    id text not null,
    actor text not null,
    action text not null,
    target_kind text not null,
    target_id text not null,
    access_profile_id bigint,
    user_id text,
    previous_values text,
    new_values text,
    metadata text,
    created_at bigint not null,
    hash bytea not null,
    constraint audit_entries__position primary key (position),
    constraint audit_entries__id unique (id)
);

create index audit_entries_by_profile on audit_entries (access_profile_id, position);

create index audit_entries_by_user on audit_entries (user_id, position);

create index audit_entries_by_action on audit_entries (action, position);

create index audit_entries_by_target on audit_entries (target_kind, target_id, position);

create table idempotency_keys (
    actor text not null,
    key text not null,
    fingerprint bytea not null,
    status bigint not null,
    body text not null,
    created_at bigint not null,
    constraint idempotency_keys__actor primary key (actor, key)
);

create index idempotency_keys_by_creation on idempotency_keys (created_at);

create table request_log (
    request_id text not null,
    at bigint not null,
    key_id text not null,
    user_id text,
    copy_id text,
    profile_id bigint,
    profile_version bigint,
    provider text not null,
    model text not null,
    endpoint text not null,
    is_stream boolean not null,
    is_bound boolean not null,
    reserved_cost bigint not null,
    reserved_tokens bigint not null,
    ended_at bigint not null,
    outcome text not null,
    status bigint not null,
    error_code text,
    input_tokens bigint not null,
    cache_read_tokens bigint not null,
    cache_write_5m_tokens bigint not null,
    cache_write_1h_tokens bigint not null,
    audio_input_tokens bigint not null,
    output_tokens bigint not null,
    reasoning_tokens bigint not null,
    audio_output_tokens bigint not null,
    service_tier text not null,
    cost bigint not null,
    duration_micros bigint not null,
    first_byte_micros bigint,
    attempts bigint not null,
    resolved_at bigint,
    constraint request_log__request_id primary key (request_id)
);

create index request_log_by_time on request_log (at, request_id);

create index request_log_by_key on request_log (key_id, at);

create index request_log_by_user on request_log (user_id, at);

create index request_log_by_profile on request_log (profile_id, at);

create index request_log_by_model on request_log (model, at);

create index request_log_by_provider on request_log (provider, at);

create index request_log_by_outcome on request_log (outcome, at);

-- The request log summed up by hour, so that statistics do not read the log. An empty text means nobody.
create table usage_hourly (
    hour bigint not null,
    key_id text not null,
    user_id text not null,
    profile_id bigint not null,
    provider text not null,
    model text not null,
    outcome text not null,
    requests bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cost bigint not null,
    duration_micros bigint not null,
    constraint usage_hourly__hour primary key (hour, key_id, user_id, profile_id, provider, model, outcome)
);

create index usage_hourly_by_key on usage_hourly (key_id, hour);

create index usage_hourly_by_user on usage_hourly (user_id, hour);
