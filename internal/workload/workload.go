package workload

import "github.com/otelcarbon/otelcarbon/internal/usage"

// The words of package usage, in which a Reader tells who used the machine.
type (
	Kind       = usage.Kind
	Workload   = usage.Workload
	Share      = usage.Share
	Usage      = usage.Usage
	Busy       = usage.Busy
	SocketBusy = usage.SocketBusy
)

// What a Workload is, and which part of the work below it a Usage tells of.
const (
	Process   = usage.Process
	Container = usage.Container
	Pod       = usage.Pod
	Service   = usage.Service
	Machine   = usage.Machine
	Job       = usage.Job
	Step      = usage.Step
	Group     = usage.Group

	Own    = usage.Own
	Exited = usage.Exited
	Other  = usage.Other
)
