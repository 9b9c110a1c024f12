package tables

import (
	"maps"
	"math"
	"slices"
	"strings"
)

func (c *checker) checkCPUs() {
	for _, e := range c.tables["data/cpus.csv"].entries {
		e.required("tdp_w", 0.1, 600)
		e.number("cores", 1, 1024)
		e.number("threads", 1, 2048)
		if v := e.get("launched"); v != "" && !isLaunch(v) {
			e.wrong("launched %q is not 2019, 2019-Q3 or 2019-08-07", v)
		}
		key := e.get("match_key")
		if key != strings.ToLower(key) {
			e.wrong("match_key %q is not in lower case", key)
		}
		if want, vendor := matchKey(e.get("model_name")), strings.ToLower(e.get("vendor")); key != want && key != vendor+" "+want {
			e.wrong("match_key %q is not the one of %q: %q", key, e.get("model_name"), want)
		}
		e.family(e.get("microarchitecture"))
		e.source("source")
	}
}

func (e *entry) family(name string) {
	if name != "" && e.c.families[name] == nil {
		e.wrong("microarchitecture %q is not in data/microarchitectures.csv", name)
	}
}

// isLaunch accepts 2019, 2019-Q3, 2019-08-07.
func isLaunch(v string) bool {
	const form = "dddd-dd-dd"
	if len(v) == len("2019-Q3") {
		return all(v[:4], isDigit) && v[4:6] == "-Q" && v[6] >= '1' && v[6] <= '4'
	}
	if len(v) != 4 && len(v) != len(form) {
		return false
	}
	for i := range len(v) {
		if form[i] == 'd' != isDigit(v[i]) || form[i] == '-' && v[i] != '-' {
			return false
		}
	}
	return true
}

func (c *checker) checkMicroarchitectures() {
	vendors := make(map[string]string)
	for _, e := range c.tables["data/microarchitectures.csv"].entries {
		idle, ok1 := e.required("min_w_per_vcpu", 0.01, 20)
		full, ok2 := e.required("max_w_per_vcpu", 0.01, 30)
		if ok1 && ok2 && idle >= full {
			e.wrong("min is not below max")
		}
		name := e.get("microarchitecture")
		if v, twice := vendors[name]; twice {
			e.wrong("microarchitecture %q is also one of %s: look-ups go by the name alone", name, v)
		}
		vendors[name] = e.get("vendor")
		e.source("source")
	}
}

func (c *checker) checkGPUs() {
	for _, e := range c.tables["data/gpus.csv"].entries {
		tdp, ok := e.required("tdp_w", 1, 3000)
		if idle, known := e.number("idle_w", 0, 500); ok && known && idle >= tdp {
			e.wrong("idle is not below TDP")
		}
		e.number("memory_gb", 1, 1024)
		e.number("embodied_kgco2e", 1, 5000)
		for _, pair := range [][2]string{{"tdp_w", "tdp_source"}, {"idle_w", "idle_source"}, {"embodied_kgco2e", "embodied_source"}} {
			if (e.get(pair[0]) == "") != (e.get(pair[1]) == "") {
				e.wrong("%s and %s must be given together", pair[0], pair[1])
			}
			e.source(pair[1])
		}
	}
}

func (c *checker) checkInstances() {
	for _, e := range c.tables["data/instances.csv"].entries {
		e.required("vcpus", 0.1, 2048)
		e.number("memory_gb", 0.1, 40000)
		var curve []float64
		for _, column := range []string{"power_idle_w", "power_10pct_w", "power_50pct_w", "power_100pct_w"} {
			if w, ok := e.number(column, 0, 20000); ok {
				curve = append(curve, w)
			}
		}
		switch {
		case len(curve) != 0 && len(curve) != 4:
			e.wrong("incomplete power curve")
		case !slices.IsSorted(curve):
			e.wrong("power does not rise with load")
		}
		if (len(curve) == 0) != (e.get("power_method") == "") {
			e.wrong("power and power_method must be given together")
		}
		e.number("server_embodied_kgco2e", 100, 60000)
		e.share()
		for name := range strings.SplitSeq(e.get("microarchitecture"), ";") {
			e.family(name)
		}
		e.source("power_source")
		e.source("embodied_source")
	}
}

// share checks what an instance type has of its server's embodied emissions: by
// vCPU, but never more than the server, since some upstream platforms have fewer
// vCPUs than the largest type on them.
func (e *entry) share() {
	gramsPerHour, ok := e.number("embodied_g_per_h", 0, 5000)
	if !ok {
		return
	}
	life := e.value("embodied_lifetime_years")
	if life <= 0 || e.get("embodied_source") == "" {
		e.wrong("embodied_g_per_h without embodied_lifetime_years and embodied_source")
		return
	}
	part := min(1, e.value("vcpus")/e.value("platform_vcpus"))
	want := e.value("server_embodied_kgco2e") * 1000 * part / (life * hoursPerYear)
	if !(math.Abs(gramsPerHour-want) < 0.0001) {
		e.wrong("embodied_g_per_h = %s is not the share of %s kg: %.4f", e.get("embodied_g_per_h"), e.get("server_embodied_kgco2e"), want)
	}
}

func (c *checker) checkConstants() {
	for _, k := range constants {
		if !slices.ContainsFunc(c.tables["data/embodied.csv"].entries, func(e *entry) bool {
			return e.get("component") == k.component && e.get("variant") == k.variant && e.value("lifetime_years") > 0
		}) {
			c.report("data/embodied.csv", 1, "no row %s, %s with a lifetime: look-ups need it", k.component, k.variant)
		}
	}
	for _, e := range c.tables["data/embodied.csv"].entries {
		e.required("value", 0, 1e5)
		e.source("source")
	}
	for _, e := range c.tables["data/coefficients.csv"].entries {
		e.required("value", 0, 1e6)
		if e.get("unit") == "" {
			e.wrong("unit is empty")
		}
		e.source("source")
	}
}

func (c *checker) checkSources() {
	for _, e := range c.tables["data/sources.csv"].entries {
		id := e.get("source")
		if !c.used[id] {
			e.wrong("source %s is not used", id)
		}
		for _, file := range []string{"NOTICE", "data/LICENCES.md"} {
			if !names(c.files[file], id) {
				e.wrong("source %s is not named in %s", id, file)
			}
		}
	}
}

// names says whether text contains id as a word of its own.
func names(text, id string) bool {
	inside := func(b byte) bool { return isLower(b) || isDigit(b) || b == '-' }
	for from := 0; ; {
		i := strings.Index(text[from:], id)
		if i < 0 || id == "" {
			return false
		}
		i += from
		end := i + len(id)
		if (i == 0 || !inside(text[i-1])) && (end == len(text) || !inside(text[end])) {
			return true
		}
		from = end
	}
}

// checkFiles keeps out what must not be in any file that is passed on.
func (c *checker) checkFiles() {
	total := 0
	for _, file := range slices.Sorted(maps.Keys(c.files)) {
		text := c.files[file]
		total += len(text)
		line := 0
		for l := range strings.Lines(text) {
			line++
			for _, folder := range []string{"tmp", "work", "root", "home", "Users"} {
				if path := "/" + folder + "/"; strings.Contains(l, path) {
					c.report(file, line, "absolute path of a machine (%s)", path)
				}
			}
		}
	}
	if total > maxDataBytes {
		c.report("data", 1, "%d bytes of tables: more than %d MiB", total, maxDataBytes>>20)
	}
}
