// Package budget keeps an account of grams of CO2-equivalent against a limit per
// period, and says once for each period when a threshold of the limit is reached.
// It is pure: the caller brings the moment, the grams and a place for the state.
//
//	b, err := budget.New(budget.Config{Name: "team-a", Grams: 5000, Period: 24 * time.Hour}, time.Now())
//	…
//	b.Turn(time.Now())
//	b.Add(host, budget.Workload, from, to, grams)
//	for _, c := range b.Crossings(nil) {
//		// c.Percent of 5000 g are used up in the period that began at c.Start
//	}
//
// # Periods
//
// Periods are aligned as [time.Time.Truncate] does it, in UTC whatever the zone of
// the machine: 24h begins at midnight UTC, 168h on Monday at midnight UTC, and any
// other length at a multiple of it since January 1 of the year 1, which for one
// that neither divides a day nor is a multiple of it is no round hour. A period of
// 0 is the whole run, restarts included where the state is kept.
//
// Grams count to the period in which the energy was drawn, not to that in which
// they are booked; an interval that crosses a border is cut there, evenly over
// time. Three periods are open: the current one, the one before it, for what comes
// late, and the one after it, for clocks that are ahead of the caller's. What was
// drawn before or after these is not booked. Which period is the current one is
// said by the caller's clock alone, by [Budget.Turn]: no time stamp of a sender
// moves it. A clock that is set back moves the three periods back, and those that
// stay among them keep what they have.
//
// # Nothing counts twice
//
// The emissions of a machine contain those of what runs on it. Both may come in, so
// each booking says which machine it belongs to ([Key]) and whether it is of the
// machine itself or of a workload ([Scope]). In each period, a machine counts with
// what was booked for it as a host, or with what its workloads add up to, whichever
// is more, and the budget with the sum over machines.
//
// Since a host contains its workloads, that is the host's amount wherever the host
// is booked, and its workloads' where it is not. Where the host is booked for less
// than its workloads (reports of it began later, or stopped), the workloads are the
// better bound; what it drew beside them at other times is then missed. This rule
// does not depend on the order of bookings and lets no total fall: what is used
// grows until the period ends. It looks at one period at a time: a host that was
// booked yesterday and is silent today hides no workload of today.
//
// Bookings without a known machine have the zero Key and count as one more machine:
// on a single host that reports no identity, host and workloads meet there.
//
// A period tells MaxKeys machines apart. All others share one account under the
// same rule, which so never counts twice either, but counts too little if some of
// them come as hosts only and others as workloads only. Status.Lumped says so.
//
// # Exactness
//
// Amounts are whole picograms, rounded once for each booking, and their sums are
// exact: the same bookings give the same state, bit for bit, in any order, and the
// parts of an interval that was cut add up to the whole.
package budget
