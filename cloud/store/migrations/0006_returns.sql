-- Returns are asked for by what they return, corrections by what they correct. Most rows have neither, and cost
-- these indexes nothing.
CREATE INDEX movements_by_original ON movements (company_id, original_id) WHERE original_id IS NOT NULL;
CREATE INDEX cost_entries_by_corrects ON cost_entries (company_id, corrects) WHERE corrects IS NOT NULL;
