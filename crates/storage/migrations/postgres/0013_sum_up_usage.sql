-- Requests summed up by the hour, the day and 32 days (`span`, in hours), and by one thing, most or all of what a filter
-- can name (`split`), so that every question has sums that are hardly finer than its answer. They take the place of
-- `usage_hourly` and `usage_hourly_totals`, which stay empty after this.
create table usage_sums (
    split bigint not null,
    span bigint not null,
    start bigint not null,
    key_id text not null,
    user_id text not null,
    profile_id bigint not null,
    provider text not null,
    model text not null,
    outcome text not null,
    requests bigint not null,
    refused bigint not null,
    failed bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cost bigint not null,
    duration_micros bigint not null,
    constraint usage_sums__split primary key
        (split, span, start, key_id, user_id, profile_id, provider, model, outcome)
);

create index usage_sums_by_key on usage_sums (key_id, split, span, start);

create index usage_sums_by_user on usage_sums (user_id, split, span, start);

with splits (split, by_key, by_user, by_profile, by_provider, by_model, by_outcome) as (
    values (0, 0, 0, 0, 0, 0, 0), (1, 1, 0, 0, 0, 0, 0), (2, 0, 1, 0, 0, 0, 0), (3, 0, 0, 1, 0, 0, 0),
        (4, 0, 0, 0, 1, 0, 0), (5, 0, 0, 0, 0, 1, 0), (6, 0, 0, 0, 0, 0, 1), (7, 0, 0, 1, 1, 1, 1),
        (8, 1, 1, 1, 1, 1, 1)
),
spans (span, micros) as (
    values (1, 3600000000), (24, 86400000000), (768, 2764800000000)
)
insert into usage_sums (split, span, start, key_id, user_id, profile_id, provider, model, outcome, requests, refused,
    failed, input_tokens, output_tokens, cost, duration_micros)
select split, span, hour / micros * micros, case when by_key = 1 then key_id else '' end,
    case when by_user = 1 then user_id else '' end, case when by_profile = 1 then profile_id else 0 end,
    case when by_provider = 1 then provider else '' end, case when by_model = 1 then model else '' end,
    case when by_outcome = 1 then outcome else '' end, cast(sum(requests) as bigint),
    cast(sum(case when outcome = 'refused' then requests else 0 end) as bigint),
    cast(sum(case when outcome = 'failed' then requests else 0 end) as bigint), cast(sum(input_tokens) as bigint),
    cast(sum(output_tokens) as bigint), cast(sum(cost) as bigint), cast(sum(duration_micros) as bigint)
from usage_hourly cross join splits cross join spans
group by 1, 2, 3, 4, 5, 6, 7, 8, 9;

delete from usage_hourly;

delete from usage_hourly_totals;
