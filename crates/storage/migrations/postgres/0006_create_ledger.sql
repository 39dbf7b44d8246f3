-- What the journal was folded into. Only the fold writes here.
create table ledger_position (
    id bigint not null,
    journal bytea not null,
    segment bigint not null,
    byte_offset bigint not null,
    last_instant bigint not null,
    constraint ledger_position__id primary key (id),
    constraint ledger_position__single check (id = 1)
);

create table counters (
    line bytea not null,
    kind bigint not null,
    duration bigint not null,
    window_key bigint not null,
    window_start bigint not null,
    window_end bigint not null,
    amount bigint not null,
    constraint counters__line primary key (line, kind, duration, window_key)
);

create index counters_by_end on counters (window_end);

create table open_holds (
    request_id text not null,
    facts text not null,
    holds text not null,
    constraint open_holds__request_id primary key (request_id)
);

create table in_doubt (
    request_id text not null,
    facts text not null,
    charges text not null,
    at bigint not null,
    resolved_at bigint,
    constraint in_doubt__request_id primary key (request_id)
);

create index in_doubt_by_resolution on in_doubt (resolved_at, at);
