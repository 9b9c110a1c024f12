package otelcarbon_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor/all"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// What the examples promise, and that they say the same as the documents and the
// programs.

// Both distributions are one, but for how they are built.
func TestManifestsAgree(t *testing.T) {
	const first = "\nreceivers:\n"
	plain, plainParts, _ := strings.Cut(read(t, "builder-config.yaml"), first)
	nvml, nvmlParts, found := strings.Cut(read(t, "builder-config-nvml.yaml"), first)
	if !found || plainParts != nvmlParts {
		t.Error("builder-config-nvml.yaml lists other components than builder-config.yaml: copy them from there")
	}
	version := regexp.MustCompile(`(?m)^  version: \S+$`)
	if a, b := version.FindString(plain), version.FindString(nvml); a == "" || a != b {
		t.Errorf("builder-config-nvml.yaml has %q, builder-config.yaml %q", b, a)
	}
	for _, line := range []string{"  build_tags: nvml", "  cgo_enabled: true"} {
		if !slices.Contains(strings.Split(nvml, "\n"), line) {
			t.Errorf("builder-config-nvml.yaml has no line %q", line)
		}
	}
}

// A udev rule is shown where somebody needs it: in the message of the sensor, in
// the documents, as a file. The texts have GROUP where the files have a name.
func TestUdevRulesAgree(t *testing.T) {
	for _, c := range []struct {
		file, placeholder, group string
		texts                    []string
	}{
		{
			"60-powercap.rules", "chgrp GROUP ", "chgrp energy ",
			[]string{"receiver/powerreceiver/README.md", "internal/sensor/rapl/problem_linux.go"},
		},
		{"60-ipmi.rules", `"GROUP"`, `"ipmi"`, []string{"internal/sensor/bmc/ipmi_linux.go"}},
		{"60-hwmon.rules", "", "", nil},
	} {
		name := "examples/systemd/" + c.file
		var rules []string
		for line := range strings.SplitSeq(strings.TrimSpace(read(t, name)), "\n") {
			if !strings.HasPrefix(line, "#") {
				rules = append(rules, line)
			}
		}
		if len(rules) != 1 {
			t.Fatalf("%s: %d rules, want one in one line", name, len(rules))
		}
		for _, text := range c.texts {
			if !strings.Contains(strings.ReplaceAll(read(t, text), c.placeholder, c.group), rules[0]) {
				t.Errorf("%s does not have the rule of %s: %s", text, name, rules[0])
			}
		}
		if doc := read(t, "docs/sensors.md"); !strings.Contains(doc, "("+path.Join("..", name)+")") {
			t.Errorf("docs/sensors.md has no link to %s", name)
		}
	}
}

func TestServiceHasOneCapability(t *testing.T) {
	value := func(text, key string) []string {
		m := regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(text, -1)
		if len(m) != 1 {
			t.Fatalf("%d lines %s=, want 1", len(m), key)
		}
		return strings.Fields(m[0][1])
	}
	unit := read(t, "examples/systemd/otelcol-carbon.service")
	ambient, bounding := value(unit, "AmbientCapabilities"), value(unit, "CapabilityBoundingSet")
	if want := []string{"CAP_PERFMON"}; !slices.Equal(ambient, want) || !slices.Equal(bounding, want) {
		t.Errorf("the service has %v of %v, want %v of the same", ambient, bounding, want)
	}
	if !slices.Contains(value(unit, "SystemCallFilter"), "perf_event_open") {
		t.Error("the service may not call perf_event_open, for which it has the capability")
	}
	for _, key := range []string{"PrivateUsers", "ProcSubset"} {
		if regexp.MustCompile(`(?m)^` + key + `=`).MatchString(unit) {
			t.Errorf("the service sets %s, which hides what sensors need", key)
		}
	}
	without := read(t, "examples/systemd/powercap.conf")
	if a, b := value(without, "AmbientCapabilities"), value(without, "CapabilityBoundingSet"); len(a)+len(b) != 0 {
		t.Errorf("powercap.conf leaves %v of %v, want none", a, b)
	}
}

// The file is written in lines that can be compared, so that no YAML is needed here.
func TestDaemonSetHasOneCapability(t *testing.T) {
	const folder = "examples/kubernetes/"
	var lines []string // without comments
	for line := range strings.SplitSeq(read(t, folder+"daemonset.yaml"), "\n") {
		line, _, _ = strings.Cut(line, "#")
		lines = append(lines, strings.TrimSpace(line))
	}
	for key, want := range map[string]string{
		"privileged": "false", "allowPrivilegeEscalation": "false", "readOnlyRootFilesystem": "true",
		"runAsUser": "0", // an added capability is in effect for no other
		"drop":      "[ALL]", "add": "[PERFMON]",
		"hostPID": "", "hostNetwork": "", "hostIPC": "", "hostUsers": "",
	} {
		got := ""
		for _, line := range lines {
			if value, ok := strings.CutPrefix(line, key+": "); ok {
				got += value
			}
		}
		if got != want {
			t.Errorf("daemonset.yaml: %s is %q, want %q", key, got, want)
		}
	}

	root := regexp.MustCompile(`(?m)^    root_path: (\S+)`).FindStringSubmatch(read(t, folder+"config.yaml"))
	if root == nil {
		t.Fatal("config.yaml has no root_path")
	}
	hosts := map[string]string{} // volume → path of the host
	volume := regexp.MustCompile(`^- \{name: (\S+), hostPath: \{path: ([^,]+), type: `)
	mount := regexp.MustCompile(`^- \{name: (\S+), mountPath: ([^,]+), readOnly: true\}$`)
	for _, line := range lines {
		if m := volume.FindStringSubmatch(line); m != nil {
			hosts[m[1]] = m[2]
		} else if strings.Contains(line, "hostPath") {
			t.Errorf("daemonset.yaml: %s: not of the form of the others", line)
		}
	}
	mounted := map[string]bool{}
	for _, line := range lines {
		if !strings.Contains(line, "mountPath") {
			continue
		}
		m := mount.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("daemonset.yaml: %s: not read-only, or not of the form of the others", line)
			continue
		}
		if host := hosts[m[1]]; host != "" {
			mounted[host] = m[2] == root[1]+host
		}
	}
	for _, host := range []string{"/sys", "/proc", "/etc/machine-id"} {
		if !mounted[host] {
			t.Errorf("daemonset.yaml: the host's %s is not mounted below %s, the root_path of config.yaml", host, root[1])
		}
	}
	if len(mounted) != 3 {
		t.Errorf("daemonset.yaml: mounts of the host: %v", mounted)
	}
}

// The agents have what the kernel knows of a pod, and no right in the API; the gateway
// finds the name by it. Nothing here runs it, since its processor is not in our build.
func TestKubernetesGivesPodsTheirNames(t *testing.T) {
	const folder = "examples/kubernetes/"
	if !strings.Contains(read(t, folder+"daemonset.yaml"), "\n      automountServiceAccountToken: false\n") {
		t.Error("daemonset.yaml: the agents do not need the API")
	}
	gateway := read(t, folder+"gateway/config.yaml")
	associations := regexp.MustCompile(`(?m)^      - sources: \[\{from: (\S+), name: (\S+)\}\]$`).FindAllStringSubmatch(gateway, -1)
	var by []string
	for _, a := range associations {
		if a[1] != "resource_attribute" {
			t.Errorf("gateway/config.yaml: association by %s", a[1])
		}
		by = append(by, a[2])
	}
	if want := []string{names.ResourceContainerID, names.ResourcePodUID}; !slices.Equal(by, want) || strings.Count(gateway, "from: ") != len(want) {
		t.Errorf("gateway/config.yaml: pods are found by %v, want %v, which the receiver tells", by, want)
	}
	if !strings.Contains(gateway, "\n        - k8s.container.name ") {
		t.Error("gateway/config.yaml: no container attribute is extracted, without which container.id is not looked up")
	}
	processes := read(t, folder+"processes/kustomization.yaml")
	for _, line := range []string{"hostPID: true", `env: [{name: PROCESSES, value: "true"}]`} {
		if !strings.Contains(processes, " "+line+"\n") {
			t.Errorf("processes/kustomization.yaml has no %s", line)
		}
	}
	if !strings.Contains(read(t, folder+"config.yaml"), "enabled: ${env:PROCESSES:-false}") {
		t.Error("config.yaml does not have what processes/kustomization.yaml sets")
	}
}

// What spreads a host over gateways gives each a part of its series, or the same series in
// turn: that is what the example must not do.
func TestAgentsSendAHostToOneGateway(t *testing.T) {
	const folder = "examples/gateway/"
	agent := read(t, folder+"agent.yaml")
	for _, line := range []string{"    routing_key: attributes", "    routing_attributes: [" + names.ResourceHostID + "]", "      static:"} {
		if !strings.Contains(agent, "\n"+line+"\n") {
			t.Errorf("agent.yaml has no line %q", line)
		}
	}
	if strings.Contains(agent, "\n  carbon:") {
		t.Error("agent.yaml converts what the gateway converts again")
	}
	if !strings.Contains(read(t, folder+"gateway.yaml"), "\n    storage: file_storage\n") {
		t.Error("gateway.yaml: the processor carbon keeps no state")
	}
	if module := "/exporter/loadbalancingexporter "; strings.Contains(read(t, "builder-config.yaml"), module) || !strings.Contains(read(t, folder+"builder-config.yaml"), module) {
		t.Error("the load-balancing exporter belongs into the build of the agents, and into no other")
	}
}

func TestEveryWorkloadIsDocumented(t *testing.T) {
	doc := read(t, "docs/workloads.md")
	for kind := usage.Process; kind <= usage.Group; kind++ {
		if !regexp.MustCompile(`(?m)^\| (\w+, )?` + kind.String() + `(, \w+)? \| `).MatchString(doc) {
			t.Errorf("docs/workloads.md: no table has a line for %s", kind)
		}
	}
	for share := ledger.ShareWorkload; share <= ledger.ShareUnattributed; share++ {
		if !strings.Contains(doc, "\n| `"+share.String()+"` | ") {
			t.Errorf("docs/workloads.md: no table has a line for the share %s", share)
		}
	}
	metadata := read(t, "receiver/powerreceiver/metadata.yaml")
	_, attributes, _ := strings.Cut(metadata, "\nresource_attributes:\n")
	attributes, _, found := strings.Cut(attributes, "\nattributes:\n")
	if !found {
		t.Fatal("metadata.yaml has no resource_attributes")
	}
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z0-9.]+):$`).FindAllStringSubmatch(attributes, -1) {
		if !strings.Contains(doc, "`"+m[1]+"`") {
			t.Errorf("docs/workloads.md does not mention %s", m[1])
		}
	}
}

func TestEverySensorIsDocumented(t *testing.T) {
	doc := read(t, "docs/sensors.md")
	for _, name := range all.Names {
		if !strings.Contains(doc, "\n| `"+name+"` | ") {
			t.Errorf("docs/sensors.md: the table has no line for %s", name)
		}
	}
}

func TestEveryDecisionIsListed(t *testing.T) {
	const folder = "docs/decisions/"
	index := read(t, folder+"README.md")
	for _, name := range files(t, ".md") {
		if base, ok := strings.CutPrefix(name, folder); ok && base != "README.md" && !strings.Contains(index, "("+base+")") {
			t.Errorf("%sREADME.md does not list %s", folder, base)
		}
	}
}
