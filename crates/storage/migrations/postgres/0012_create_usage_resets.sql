-- Usage that is to be set back to zero, until the counters have it. `meters` are pairs of line and kind, as JSON.
create table usage_resets (
    id text not null,
    meters text not null,
    created_at bigint not null,
    constraint usage_resets__id primary key (id)
);
