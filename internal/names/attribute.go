package names

// Attributes of points and of spans.
const (
	AttrHWID     = "hw.id"     // stable over restarts, unique on the host
	AttrHWType   = "hw.type"   // one of the HWType values
	AttrHWName   = "hw.name"   // as the kernel or the driver calls the part
	AttrHWModel  = "hw.model"  // as the maker calls the device
	AttrHWParent = "hw.parent" // hw.id of the part that contains this one; left out where nothing does

	AttrMethod       = "carbon.method"        // one of the Method values
	AttrSensor       = "carbon.sensor"        // one of the Sensor values
	AttrShare        = "carbon.share"         // one of the Share values
	AttrEmissionType = "carbon.emission_type" // one of the EmissionType values
	AttrInput        = "carbon.input"         // name of the metric from which emissions derive, if it is none of ours
	AttrSCIPer       = "carbon.sci.per"       // name of the metric that counts the functional units
	AttrBudgetName   = "carbon.budget.name"

	AttrGridZone     = "carbon.grid.zone"     // as the source spells it; on a resource: the zone to use
	AttrGridSource   = "carbon.grid.source"   // one of the Source values
	AttrGridSignal   = "carbon.grid.signal"   // one of the Signal values
	AttrGridBoundary = "carbon.grid.boundary" // one of the Boundary values
	AttrGridQuality  = "carbon.grid.quality"  // one of the Quality values
)

// Attributes of spans only. Their values are doubles, but for the last two.
const (
	AttrEnergy        = "carbon.energy"         // J, of the span itself without its children
	AttrEmissions     = "carbon.emissions"      // g, of the span itself without its children
	AttrGridIntensity = "carbon.grid.intensity" // g/(kW.h)
	AttrUncertainty   = "carbon.uncertainty"    // relative half-width of the range
	AttrPUE           = "carbon.pue"            // the PUE in carbon.emissions, if it is not 1
	AttrCoverage      = "carbon.coverage"       // one of the Coverage values; none: all of it was read
	AttrAttribution   = "carbon.attribution"    // one of the Attribution values; none: evenly
)

// Values of carbon.coverage: which part of the energy of a span was read.
const (
	CoverageInterpolated = "interpolated" // its end lies between two readings: that part is at the power of the last ones
	CoveragePartial      = "partial"      // of some of its time nothing is known: it used more than it says
)

// Values of carbon.attribution.
const (
	SharedByCPU = "cpu"   // divided by samples of CPU time
	SharedMixed = "mixed" // some of it: for the rest of the time there were none
)

// Attributes of resources, from the semantic conventions.
const (
	ResourceHostID   = "host.id"
	ResourceHostName = "host.name"
	ResourceHostType = "host.type" // of a cloud: the instance type

	ResourceCloudProvider = "cloud.provider"
	ResourceCloudRegion   = "cloud.region"
	ResourceCloudZone     = "cloud.availability_zone"
	ResourceCountry       = "geo.country.iso_code" // ISO 3166-1 alpha-2
	ResourceSubdivision   = "geo.region.iso_code"  // ISO 3166-2
	ResourceLatitude      = "geo.location.lat"     // degrees, double
	ResourceLongitude     = "geo.location.lon"     // degrees, double

	ResourceProcessPID     = "process.pid"
	ResourceProcessName    = "process.executable.name"
	ResourceProcessOwner   = "process.owner"
	ResourceProcessCreated = "process.creation.time"

	ResourceContainerID      = "container.id"
	ResourceContainerRuntime = "container.runtime"
	ResourcePodUID           = "k8s.pod.uid"
)
