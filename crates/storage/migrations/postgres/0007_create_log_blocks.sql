-- The request log in blocks of some hundred requests. The server moves the rows of `request_log` in here when it starts;
-- after that the old table stays empty.
create table request_log_blocks (
    id bigint not null,
    requests bigint not null,
    first_at bigint not null,
    last_at bigint not null,
    span bigint not null,
    first_request bytea not null,
    last_request bytea not null,
    content bytea not null,
    constraint request_log_blocks__id primary key (id)
);

create index request_log_blocks_by_time on request_log_blocks (first_at, last_at, id, requests);

create index request_log_blocks_by_span on request_log_blocks (span);

create index request_log_blocks_by_request on request_log_blocks (last_request, first_request);

drop index request_log_by_key;

drop index request_log_by_user;

drop index request_log_by_profile;

drop index request_log_by_model;

drop index request_log_by_provider;

drop index request_log_by_outcome;

-- The hourly sums without keys and users: few rows, however many of those there are.
create table usage_hourly_totals (
    hour bigint not null,
    profile_id bigint not null,
    provider text not null,
    model text not null,
    outcome text not null,
    requests bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cost bigint not null,
    duration_micros bigint not null,
    constraint usage_hourly_totals__hour primary key (hour, profile_id, provider, model, outcome)
);

create index usage_hourly_totals_by_profile on usage_hourly_totals (profile_id, hour);

insert into usage_hourly_totals
    (hour, profile_id, provider, model, outcome, requests, input_tokens, output_tokens, cost, duration_micros)
select hour, profile_id, provider, model, outcome, cast(sum(requests) as bigint), cast(sum(input_tokens) as bigint),
    cast(sum(output_tokens) as bigint), cast(sum(cost) as bigint), cast(sum(duration_micros) as bigint)
from usage_hourly
group by hour, profile_id, provider, model, outcome;
