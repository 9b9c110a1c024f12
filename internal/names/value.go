package names

// Values of hw.type. Other is not among those of the semantic conventions: what
// an envelope sensor sees beyond the parts that have readings of their own.
const (
	HWTypeCPU     = "cpu"
	HWTypeMemory  = "memory"
	HWTypeGPU     = "gpu"
	HWTypeBattery = "battery"
	HWTypeOther   = "other"
)

// Values of carbon.method.
const (
	MethodMeasured   = "measured"   // an energy counter
	MethodIntegrated = "integrated" // a power gauge over time
	MethodModelled   = "modelled"   // computed from utilization
)

// Values of carbon.sensor.
const (
	SensorRAPL      = "rapl"
	SensorPerf      = "perf"
	SensorHwmon     = "hwmon"
	SensorNVML      = "nvml"
	SensorNvidiaSMI = "nvidia_smi"
	SensorAMDGPU    = "amdgpu"
	SensorBattery   = "battery"
	SensorBMC       = "bmc"
	SensorModel     = "model"
)

// Values of carbon.share.
const (
	ShareWorkload     = "workload"
	ShareIdle         = "idle"
	ShareSystem       = "system"
	ShareExited       = "exited"
	ShareOther        = "other"
	ShareUnattributed = "unattributed"
)

// Values of carbon.emission_type.
const (
	EmissionTypeOperational = "operational"
	EmissionTypeEmbodied    = "embodied"
)

// Values of carbon.grid.signal.
const (
	SignalAverage  = "average"
	SignalMarginal = "marginal"
)

// Values of carbon.grid.boundary.
const (
	BoundaryLifecycle = "lifecycle"
	BoundaryDirect    = "direct"
)

// Values of carbon.grid.quality, from the most to the least trustworthy.
const (
	QualityMeasured    = "measured"
	QualityPreliminary = "preliminary"
	QualityEstimated   = "estimated"
	QualityPredicted   = "predicted"
	QualityPeriodic    = "periodic"
	QualityAssumed     = "assumed"
)

// Values of carbon.grid.source.
const (
	SourceElectricityMaps = "electricity_maps"
	SourceWattTime        = "watttime"
	SourceUKNationalGrid  = "uk_national_grid"
	SourceEnerginet       = "energinet"
	SourceRTEEco2mix      = "rte_eco2mix"
	SourceOpenElectricity = "open_electricity"
	SourceCloudsCSV       = "clouds_csv"
	SourceGridsCSV        = "grids_csv"
	SourceStatic          = "static"
	SourceWorldAverage    = "world_average"
)
