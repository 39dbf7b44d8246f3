-- Facts about the installation itself: checks of the master key, sealed keys of ours.
create table settings (
    name text not null,
    value text not null,
    constraint settings__name primary key (name)
) strict;

-- Where ids that are not row ids come from.
create table sequences (
    name text not null,
    value integer not null,
    constraint sequences__name primary key (name)
) strict;

-- How many rows a list has, so that a page need not count them.
create table totals (
    kind text not null,
    amount integer not null,
    constraint totals__kind primary key (kind)
) strict;

-- Three-letter pieces of names: finds any part of a name without reading the table.
create table search_grams (
    kind text not null,
    gram text not null,
    entity_id text not null,
    constraint search_grams__kind primary key (kind, gram, entity_id)
) strict, without rowid;

create index search_grams_by_entity on search_grams (kind, entity_id);
