"""Files from outside → master data and movements: `tallygate import …` and `tallygate company apply`."""
