-- What the journal was folded into. Only the fold writes here.
create table ledger_position (
    id integer not null,
    journal blob not null,
    segment integer not null,
    byte_offset integer not null,
    last_instant integer not null,
    constraint ledger_position__id primary key (id),
    constraint ledger_position__single check (id = 1)
) strict;

create table counters (
    line blob not null,
    kind integer not null,
    duration integer not null,
    window_key integer not null,
    window_start integer not null,
    window_end integer not null,
    amount integer not null,
    constraint counters__line primary key (line, kind, duration, window_key)
) strict, without rowid;

create index counters_by_end on counters (window_end);

create table open_holds (
    request_id text not null,
    facts text not null,
    holds text not null,
    constraint open_holds__request_id primary key (request_id)
) strict;

create table in_doubt (
    request_id text not null,
    facts text not null,
    charges text not null,
    at integer not null,
    resolved_at integer,
    constraint in_doubt__request_id primary key (request_id)
) strict;

create index in_doubt_by_resolution on in_doubt (resolved_at, at);
