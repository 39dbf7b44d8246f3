-- Who is told of what.
create table webhooks (
    id text not null,
    url text not null,
    events text not null,
    secret_sealed text not null,
    allow_private_network boolean not null,
    is_active boolean not null,
    created_at bigint not null,
    updated_at bigint not null,
    constraint webhooks__id primary key (id)
);

create index webhooks_by_creation on webhooks (created_at, id);

-- What has to be told to whom, written in the transaction of what it tells of. `next_attempt_at` is set exactly while the
-- delivery is pending.
create table webhook_deliveries (
    webhook_id text not null,
    event_id text not null,
    event text not null,
    payload text not null,
    state text not null,
    attempts bigint not null,
    next_attempt_at bigint,
    last_attempt_at bigint,
    last_status bigint,
    last_error text,
    created_at bigint not null,
    constraint webhook_deliveries__webhook_id primary key (webhook_id, event_id),
    constraint webhook_deliveries__webhooks foreign key (webhook_id) references webhooks (id) on delete cascade
);

create index webhook_deliveries_by_turn on webhook_deliveries (next_attempt_at, webhook_id);

create index webhook_deliveries_by_creation on webhook_deliveries (webhook_id, created_at, event_id);

create index webhook_deliveries_by_age on webhook_deliveries (created_at);

-- How far a rotation that is under way has come: the last user whose keys were rotated.
alter table access_profiles add column rotation_cursor text;

-- Secrets of automatic rotations that wait for the key's holder.
create table key_rotations (
    key_id text not null,
    value_sealed text not null,
    collect_until bigint not null,
    created_at bigint not null,
    constraint key_rotations__key_id primary key (key_id),
    constraint key_rotations__keys foreign key (key_id) references virtual_keys (id) on delete cascade
);

create index key_rotations_by_end on key_rotations (collect_until);

-- Thresholds that were reached, so that each is told once in each window. Only the fold writes here.
create table reached_thresholds (
    line bytea not null,
    kind bigint not null,
    duration bigint not null,
    window_key bigint not null,
    percent bigint not null,
    window_end bigint not null,
    reached_at bigint not null,
    constraint reached_thresholds__line primary key (line, kind, duration, window_key, percent)
);

create index reached_thresholds_by_end on reached_thresholds (window_end);
