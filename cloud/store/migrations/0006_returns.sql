-- Returns are asked for by what they return. Most movements return nothing, and cost this index nothing.
CREATE INDEX movements_by_original ON movements (company_id, original_id) WHERE original_id IS NOT NULL;
