-- Which kinds of requests a block has, so that a search opens those only that may have what it looks for. Blocks that were
-- written before have none, and are opened. The index has it, because behind the content it would be read with that.
alter table request_log_blocks add column kinds blob;

drop index request_log_blocks_by_time;

create index request_log_blocks_by_time on request_log_blocks (first_at, last_at, id, requests, kinds);

-- Between which blocks the requests of a sum are, so that rare ones are found at once. Sums that were made before do not
-- know, and go on without.
alter table usage_sums add column first_block integer;

alter table usage_sums add column last_block integer;
