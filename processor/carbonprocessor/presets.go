package carbonprocessor

import (
	"maps"
	"slices"

	"github.com/otelcarbon/otelcarbon/internal/names"
)

// presets are the metrics of other exporters, by the name of the preset. Each names the
// parts of a machine that do not overlap, and one level of workloads, so that nothing
// counts twice. Names, types and units are those of the sources given; the Collector's
// Prometheus receiver keeps them.
//
// What an exporter divides among workloads by their CPU time is modelled: it is computed
// from utilization, and no published comparison grants these shares the accuracy of the
// counter that is divided.
func presets() map[string][]InputConfig {
	return map[string][]InputConfig{
		"kepler":           slices.Concat(keplerNode(), keplerWorkloads("container"), keplerBefore010()),
		"kepler_pods":      slices.Concat(keplerNode(), keplerWorkloads("pod")),
		"kepler_processes": slices.Concat(keplerNode(), keplerWorkloads("process")),
		"kepler_vms":       slices.Concat(keplerNode(), keplerWorkloads("vm")),
		"scaphandre":       scaphandre(),
		"dcgm":             dcgm(),
		"ceems":            ceems(),
		"metricshub":       metricshub(),
	}
}

func presetNames() []string { return slices.Sorted(maps.Keys(presets())) }

// Kepler adds zones of one name up, over sockets, and follows their counters over wraps.
// Core and uncore lie within package, and all of them within psys.
// https://github.com/sustainable-computing-io/kepler internal/exporter/prometheus/collector/power_collector.go
func keplerNode() []InputConfig {
	const cpu = "kepler_node_cpu_joules_total"
	return []InputConfig{
		hostJoules(cpu, names.HWTypeCPU, map[string]string{"zone": "package*"}),
		hostJoules(cpu, names.HWTypeMemory, map[string]string{"zone": "dram*"}),
		hostJoules("kepler_node_gpu_joules_total", names.HWTypeGPU, nil),
	}
}

// keplerWorkloads are shares of the active energy of zones. When a workload ends, all its
// energy is told once more under another state.
func keplerWorkloads(level string) []InputConfig {
	cpu, gpu := "kepler_"+level+"_cpu_joules_total", "kepler_"+level+"_gpu_joules_total"
	share := func(metric, hwType string, match map[string]string) InputConfig {
		match["state"] = "running"
		return InputConfig{
			Metric: metric, Unit: names.UnitJoule, Of: ofWorkload, Match: match,
			Attributes: map[string]string{names.AttrHWType: hwType}, Method: names.MethodModelled,
		}
	}
	list := []InputConfig{
		share(cpu, names.HWTypeCPU, map[string]string{"zone": "package*"}),
		share(cpu, names.HWTypeMemory, map[string]string{"zone": "dram*"}),
	}
	if level != "vm" { // for which Kepler has no such metric
		list = append(list, share(gpu, names.HWTypeGPU, map[string]string{}))
	}
	return list
}

// keplerBefore010 are the names of the eBPF generation, of which both modes, dynamic and
// idle, add up. Without sensors it says trained_power_model for its source.
// https://github.com/sustainable-computing-io/kepler pkg/metrics
func keplerBefore010() []InputConfig {
	const pkg, dram = "kepler_node_package_joules_total", "kepler_node_dram_joules_total"
	model := func(metric, hwType string) InputConfig {
		in := hostJoules(metric, hwType, map[string]string{"source": "trained_power_model"})
		in.Method = names.MethodModelled
		return in
	}
	return []InputConfig{
		model(pkg, names.HWTypeCPU), hostJoules(pkg, names.HWTypeCPU, nil),
		model(dram, names.HWTypeMemory), hostJoules(dram, names.HWTypeMemory, nil),
		{Metric: "kepler_container_joules_total", Unit: names.UnitJoule, Of: ofWorkload, Method: names.MethodModelled},
	}
}

// The energy of the host is that of psys or, where there is none, of all packages and
// their memory: sockets and domains lie within it. Processes have the host's power times
// their share of all CPUs.
// https://github.com/hubblo-org/scaphandre src/exporters/mod.rs
func scaphandre() []InputConfig {
	return []InputConfig{
		{Metric: "scaph_host_energy_microjoules", Unit: "uJ", Of: ofHost, Method: names.MethodMeasured},
		{Metric: "scaph_process_power_consumption_microwatts", Unit: "uW", Of: ofWorkload, Method: names.MethodModelled},
	}
}

// Rows of MIG instances and of shared GPUs repeat the energy of the whole GPU.
// https://github.com/NVIDIA/dcgm-exporter etc/default-counters.csv, internal/pkg/rendermetrics
func dcgm() []InputConfig {
	in := hostJoules("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", names.HWTypeGPU, map[string]string{"GPU_I_ID": "", "vgpu": ""})
	in.Unit = "mJ"
	return []InputConfig{in}
}

// The zones of powercap, under names of their own or, by a flag, under one name with the
// zone as a label. The MMIO interface of clients shows a second view of the package.
// https://github.com/ceems-dev/ceems pkg/collector/rapl.go
func ceems() []InputConfig {
	const view = "*/intel-rapl:*"
	return []InputConfig{
		hostJoules("ceems_rapl_package_joules_total", names.HWTypeCPU, map[string]string{"path": view}),
		hostJoules("ceems_rapl_dram_joules_total", names.HWTypeMemory, map[string]string{"path": view}),
		hostJoules("ceems_rapl_joules_total", names.HWTypeCPU, map[string]string{"path": view, "rapl_zone": "package"}),
		hostJoules("ceems_rapl_joules_total", names.HWTypeMemory, map[string]string{"path": view, "rapl_zone": "dram"}),
	}
}

// MetricsHub tells the whole host, and as hw.energy estimates of its parts and shares of
// its virtual machines, which lie within it. Its points have a connector_id.
// https://github.com/MetricsHub/metricshub-community metricshub-hardware, PowerAndEnergyCollectHelper.java
func metricshub() []InputConfig {
	host := func(quality, method string) InputConfig {
		return InputConfig{
			Metric: names.MetricHostEnergy, Unit: names.UnitJoule, Of: ofHost, Method: method,
			Match: map[string]string{"quality": quality},
		}
	}
	return []InputConfig{
		host("measured", names.MethodMeasured),
		host("estimated", names.MethodModelled),
		{Metric: names.MetricHWEnergy, Of: ofHost, Match: map[string]string{"connector_id": ""}},
	}
}

// hostJoules is a counter of a part of the host.
func hostJoules(metric, hwType string, match map[string]string) InputConfig {
	return InputConfig{
		Metric: metric, Unit: names.UnitJoule, Of: ofHost, Match: match,
		Attributes: map[string]string{names.AttrHWType: hwType}, Method: names.MethodMeasured,
	}
}
