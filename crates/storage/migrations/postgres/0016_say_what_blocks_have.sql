-- Which kinds of requests a block has, so that a search opens those only that may have what it looks for. Blocks that were
-- written before have none, and are opened. PostgreSQL keeps the content elsewhere, so this is read without it.
alter table request_log_blocks add column kinds bytea;

-- Between which blocks the requests of a sum are, so that rare ones are found at once. Sums that were made before do not
-- know, and go on without.
alter table usage_sums add column first_block bigint;

alter table usage_sums add column last_block bigint;
