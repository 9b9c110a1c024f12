// Package ledger keeps the books: every microjoule that the sensors of a machine
// report goes to exactly one account, so that the accounts of the parts add up
// to the account of the host, exactly, after every tick.
//
// [Ledger.Book] takes the readings of one tick, [Ledger.Accounts] tells what has
// been counted so far. What may not be added is sorted out here: parts inside
// other parts, a model beside a measurement, several views of one counter, and
// an envelope around everything (ENERGY.md A.2). What a single reading means is
// package energy's business.
//
// The package holds state and nothing else: no clock, no file, no log. A Ledger
// is not safe for concurrent use; its owner locks.
package ledger
