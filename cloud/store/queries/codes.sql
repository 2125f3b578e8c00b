-- items --
-- The ids behind some codes, and how closely the items are told apart.
SELECT code, item_id, tracking, method FROM items WHERE company_id = %(company)s AND code = ANY(%(codes)s)

-- locations --
-- The ids behind some codes.
SELECT code, location_id FROM locations WHERE company_id = %(company)s AND code = ANY(%(codes)s)

-- parties --
-- The ids behind some codes; one code may stand for a supplier and for a customer.
SELECT kind, code, party_id FROM parties WHERE company_id = %(company)s AND code = ANY(%(codes)s)
