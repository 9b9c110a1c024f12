package bmc

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

func TestPowerControlOfTheWhole(t *testing.T) {
	chassis := &chassisDoc{Self: "/redfish/v1/Chassis/1"}
	chassis.Links.ComputerSystems = []link{{"/redfish/v1/Systems/1"}}
	for _, c := range []struct {
		name, body string
		watts      float64
		ok         bool
		err        error
	}{
		{"one", `{"PowerControl": [{"PowerConsumedWatts": 291}]}`, 291, true, nil},
		{"one without a value", `{"PowerControl": [{"PowerConsumedWatts": null}]}`, 0, false, nil},
		{"none", `{"PowerControl": []}`, 0, false, errMissing},
		{"null", `{"PowerControl": null}`, 0, false, errMissing},
		{"absent", `{}`, 0, false, errMissing},
		{"the whole and its processors", `{"PowerControl": [
			{"Name": "CPU", "PowerConsumedWatts": 120, "PhysicalContext": "CPU"},
			{"Name": "Node", "PowerConsumedWatts": 400, "PhysicalContext": "Chassis"}]}`, 400, true, nil},
		{"the whole by what it relates to", `{"PowerControl": [
			{"Name": "Memory", "PowerConsumedWatts": 30, "RelatedItem": [{"@odata.id": "/redfish/v1/Systems/1/Memory/1"}]},
			{"Name": "Node", "PowerConsumedWatts": 400, "RelatedItem": [{"@odata.id": "/redfish/v1/Systems/1/"}]}]}`, 400, true, nil},
		{"the whole has no value now", `{"PowerControl": [
			{"Name": "CPU", "PowerConsumedWatts": 120},
			{"Name": "Node", "PowerConsumedWatts": null, "PhysicalContext": "Chassis"}]}`, 0, false, nil},
		{"two nodes", `{"PowerControl": [{"Name": "Node 1", "PowerConsumedWatts": 300}, {"Name": "Node 2", "PowerConsumedWatts": 310}]}`, 0, false, errAmbiguous},
		{"two that call themselves the whole", `{"PowerControl": [
			{"PowerConsumedWatts": 300, "PhysicalContext": "Chassis"}, {"PowerConsumedWatts": 310, "PhysicalContext": "Chassis"}]}`, 0, false, errAmbiguous},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d powerDoc
			require.NoError(t, decode([]byte(c.body), &d))
			n, err := d.whole(chassis)
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, number{c.watts, c.ok}, n)
		})
	}
}

func TestNumberTakesNumbersOnly(t *testing.T) {
	for body, want := range map[string]number{
		`1`: {1, true}, `-0.5`: {-0.5, true}, `1e3`: {1000, true}, `0`: {0, true},
		`null`: {}, `"12"`: {}, `true`: {}, `[1]`: {}, `{"a": 1}`: {}, `1e999`: {},
	} {
		var d metricsDoc
		require.NoError(t, decode([]byte(`{"PowerWatts": {"Reading": `+body+`}, "EnergykWh": {"Reading": 7}}`), &d), body)
		assert.Equal(t, want, d.PowerWatts.Reading, body)
		assert.Equal(t, number{7, true}, d.EnergykWh.Reading, "what stands behind %s is read", body)
	}
}

// FuzzDecode reads anything as any resource: no panic, and no power that is none.
func FuzzDecode(f *testing.F) {
	seeds := 0
	for _, name := range []string{"modern", "ilo", "idrac", "two-nodes"} {
		a, err := txtar.ParseFile("testdata/" + name + ".txtar")
		require.NoError(f, err)
		for _, file := range a.Files {
			f.Add(file.Data)
			seeds++
		}
	}
	require.NotZero(f, seeds)
	f.Add([]byte(`{"PowerControl": [{"PowerConsumedWatts": 1e308}, null]}`))
	f.Add([]byte(`{"PowerWatts": {"Reading": -0.0000001}}`))
	w, err := newWire(Redfish{Endpoint: "https://bmc.example.net"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{new(rootDoc), new(collectionDoc), new(chassisDoc), new(systemDoc), new(subsystemDoc), new(supplyDoc)} {
			_ = decode(body, into)
		}
		var page collectionDoc
		_ = decode(body, &page)
		for _, l := range append(page.Members, link{page.Next}) {
			if u, err := w.resolve(l.ID); err == nil && (u.Host != "bmc.example.net" || u.Scheme != "https" || u.User != nil) {
				t.Errorf("link %q became %v", l.ID, u)
			}
		}
		var m metricsDoc
		_ = decode(body, &m)
		var p powerDoc
		_ = decode(body, &p)
		n, _ := p.whole(&chassisDoc{Self: "/redfish/v1/Chassis/1"})
		for _, n := range []number{n, m.PowerWatts.Reading, m.InputPowerWatts.Reading} {
			if p, err := plausible(n.value); err == nil && (p == 0 || p > maxPower) {
				t.Errorf("%g W became %d µW", n.value, p)
			}
		}
		var c chassisDoc
		_ = decode(body, &c)
		_, _ = choose("", []chassisDoc{c}, nil)
		_, _ = choose("1", []chassisDoc{c, c}, []systemDoc{{ID: "1"}})
	})
}
