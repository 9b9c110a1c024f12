package bmc

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestSampleTakesTheBestReadingThereIs(t *testing.T) {
	const without, with = `"Reading": 240.1`, `"Reading": null`
	for _, c := range []struct {
		name, service string
		change        func(t *testing.T, m *mock)
		power         unit.Microwatts
		what          string
	}{
		// 237.4 W + 240.1 W; bay 3 is empty.
		{"input of all supplies", "modern", nil, 477_500_000, nameInputAC},
		{"a supply without a reading makes the sum invalid", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay2+"/Metrics", without, with)
		}, 474_000_000, nameEnvironment},
		{"a supply without metrics makes the sum invalid", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay2, `"Metrics"`, `"OldMetrics"`)
		}, 474_000_000, nameEnvironment},
		{"a supply with a text for a reading makes the sum invalid", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay2+"/Metrics", "240.1", `"240.1 W"`)
		}, 474_000_000, nameEnvironment},
		{"a supply whose reading is negative", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay2+"/Metrics", "240.1", "-240.1")
		}, 474_000_000, nameEnvironment},
		{"a spare supply at 0 W counts with it", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay2+"/Metrics", "240.1", "0")
		}, 237_400_000, nameInputAC},
		{"a supply that was pulled does not count", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay2, `"Enabled"`, `"Absent"`)
		}, 237_400_000, nameInputAC},
		{"both supplies on 48 V", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay1, `"AC"`, `"DC"`)
			m.replace(t, bay2, `"AC"`, `"DCregulated"`)
		}, 477_500_000, nameInputDC},
		{"one supply of an unknown kind", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay1, `"AC"`, `"ACorDC"`)
		}, 477_500_000, nameInput},
		// 222.5 W + 225 W.
		{"only outputs", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay1+"/Metrics", "InputPowerWatts", "X")
			m.set(environment, `{"PowerWatts": {"Reading": null}}`)
		}, 447_500_000, nameOutput},
		{"only the energy in the environment", "modern", func(t *testing.T, m *mock) {
			m.replace(t, bay1+"/Metrics", "InputPowerWatts", "X")
			m.set(environment, `{"EnergykWh": {"Reading": 12.5}}`)
		}, 447_500_000, nameOutput},
		{"nothing in the new schema", "modern", func(t *testing.T, m *mock) {
			m.set(environment, `{}`)
			m.set("/redfish/v1/Chassis/1U/PowerSubsystem", `{"CapacityWatts": 2000}`)
		}, 470_000_000, nameLegacy},
		{"the new schema breaks off", "modern", func(t *testing.T, m *mock) {
			m.set(environment, `{"PowerWatts": {"Read`)
			m.set("/redfish/v1/Chassis/1U/PowerSubsystem", `{"PowerSupplies": {"@odata`)
		}, 470_000_000, nameLegacy},
		{"the new schema makes the controller fail", "modern", func(t *testing.T, m *mock) {
			m.status[environment] = http.StatusInternalServerError
			m.status["/redfish/v1/Chassis/1U/PowerSubsystem"] = http.StatusInternalServerError
		}, 470_000_000, nameLegacy},
		{"a systems collection that cannot be read", "modern", func(t *testing.T, m *mock) {
			m.status["/redfish/v1/Systems"] = http.StatusNotFound
		}, 477_500_000, nameInputAC},
		{"odd types of what does not matter", "modern", func(t *testing.T, m *mock) {
			m.replace(t, "/redfish/v1/Chassis/1U", `"RackMount"`, `{"a": [1]}`)
			m.replace(t, bay1, `"AC"`, `17`)
		}, 477_500_000, nameInput},
		{"iLO", "ilo", nil, 291_000_000, nameLegacy},
		{"iDRAC", "idrac", nil, 164_000_000, nameLegacy},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := load(t, c.service)
			if c.change != nil {
				c.change(t, m)
			}
			s, err := newSource(t, m.serve(t)).sample(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.power, s.power)
			assert.Equal(t, c.what, s.name)
			assert.NotEmpty(t, s.stamp)
			assert.False(t, s.at.IsZero())
		})
	}
}

func TestSampleC43ChassisWithTwoNodes(t *testing.T) {
	t.Run("C43 refuses to guess, with a list", func(t *testing.T) {
		r := newSource(t, load(t, "two-nodes").serve(t))
		_, err := r.sample(t.Context())
		p := newProblem(r.where(), err)
		assert.Equal(t, sensor.Absent, p.Class)
		assert.Contains(t, p.Error(), `3 chassis have power readings`)
		assert.Contains(t, p.Error(), `"Enclosure", "Node1", "Node2"`)
	})
	for want, power := range map[string]unit.Microwatts{
		"Node1":                      310_000_000,
		"Node2":                      333_000_000,
		"/redfish/v1/Chassis/Node2/": 333_000_000,
		"A":                          310_000_000, // the system in it, not the enclosure that has both
		"B":                          333_000_000,
		"Enclosure":                  700_000_000, // named, so meant
	} {
		t.Run("C43 chosen "+want[strings.LastIndex(strings.TrimSuffix(want, "/"), "/")+1:], func(t *testing.T) {
			c := load(t, "two-nodes").serve(t)
			c.Chassis = want
			s, err := newSource(t, c).sample(t.Context())
			require.NoError(t, err)
			assert.Equal(t, power, s.power)
		})
	}
	t.Run("C43 a name that does not exist", func(t *testing.T) {
		c := load(t, "two-nodes").serve(t)
		c.Chassis = "Node3"
		_, err := newSource(t, c).sample(t.Context())
		require.ErrorIs(t, err, errAmbiguous)
		assert.Contains(t, newProblem("", err).Error(), `no system "Node3"`)
		assert.Contains(t, newProblem("", err).Remedy, `"Node1"`)
	})
}

func TestSampleFollowsThePowerSupplies(t *testing.T) {
	m := load(t, "modern")
	r := newSource(t, m.serve(t))
	s, err := r.sample(t.Context())
	require.NoError(t, err)
	assert.Equal(t, unit.Microwatts(477_500_000), s.power)

	before := len(m.asked())
	_, err = r.sample(t.Context())
	require.NoError(t, err)
	assert.Len(t, m.asked(), before+2, "afterwards it asks for the two metrics only")

	// Bay 2 is pulled: its metrics are gone before the list is due.
	m.replace(t, bay2, `"Enabled"`, `"Absent"`)
	m.do(func() { delete(m.bodies, bay2+"/Metrics") })
	s, err = r.sample(t.Context())
	require.NoError(t, err)
	assert.Equal(t, unit.Microwatts(237_400_000), s.power)

	// A cord is pulled: present, and without a reading.
	m.replace(t, bay1+"/Metrics", "237.4", "null")
	_, err = r.sample(t.Context())
	require.ErrorIs(t, err, errMissing, "it does not change to another reading at once")
	require.ErrorContains(t, err, `"Bay1"`)
}

func TestSampleReportsWhatIsNoService(t *testing.T) {
	const html = "<html><head><title>Login</title></head><body>" + testPassword + "</body></html>"
	for _, c := range []struct {
		name   string
		change func(m *mock)
		class  sensor.Class
		words  string
	}{
		{"a web page with status 200", func(m *mock) { m.bodies[rootLink] = html }, sensor.Malformed, "no JSON object"},
		{"JSON that breaks off", func(m *mock) { m.bodies[rootLink] = `{"Chassis": {"@odata.id": "/red` }, sensor.Malformed, "no JSON object"},
		{"an empty answer", func(m *mock) { m.bodies[rootLink] = "" }, sensor.Malformed, "no JSON object"},
		{"an array", func(m *mock) { m.bodies[rootLink] = `[1, 2]` }, sensor.Malformed, "no JSON object"},
		{"null", func(m *mock) { m.bodies[rootLink] = `null` }, sensor.Malformed, "names no chassis"},
		{"nulls", func(m *mock) { m.bodies[rootLink] = `{"Chassis": null, "Systems": null, "Links": null}` }, sensor.Malformed, "names no chassis"},
		{"another JSON service", func(m *mock) { m.bodies[rootLink] = `{"status": "ok"}` }, sensor.Malformed, "names no chassis"},
		{"nothing there", func(m *mock) { delete(m.bodies, rootLink) }, sensor.Absent, "status 404"},
		{"a controller that boots", func(m *mock) { m.status[rootLink] = http.StatusServiceUnavailable }, sensor.IO, "status 503"},
		{"a controller that fails", func(m *mock) { m.status[rootLink] = http.StatusInternalServerError }, sensor.IO, "status 500"},
		{"forbidden", func(m *mock) { m.status["/redfish/v1/Chassis"] = http.StatusForbidden }, sensor.Permission, "Login"},
		{"no chassis at all", func(m *mock) { m.bodies["/redfish/v1/Chassis"] = `{"Members": []}` }, sensor.Absent, "power of a chassis"},
		{"members that are null", func(m *mock) { m.bodies["/redfish/v1/Chassis"] = `{"Members": [null, {"@odata.id": null}]}` }, sensor.Malformed, "leads out of"},
		{"pages without an end", func(m *mock) {
			m.bodies["/redfish/v1/Chassis"] = `{"Members": [], "Members@odata.nextLink": "/redfish/v1/Chassis"}`
		}, sensor.Malformed, "more than 8 pages"},
		{"too many members", func(m *mock) {
			m.bodies["/redfish/v1/Chassis"] = `{"Members": [` + strings.Repeat(`{"@odata.id": "/redfish/v1/Chassis/1U"},`, 64) + `{"@odata.id": "/redfish/v1/Chassis/1U"}]}`
		}, sensor.Malformed, "more than 64 members"},
		{"a link to another host", func(m *mock) {
			m.bodies[rootLink] = `{"Chassis": {"@odata.id": "https://evil.example.net/redfish/v1/Chassis"}}`
		}, sensor.Malformed, "another host"},
		{"a link without a scheme to another host", func(m *mock) {
			m.bodies[rootLink] = `{"Chassis": {"@odata.id": "//evil.example.net/redfish/v1/Chassis"}}`
		}, sensor.Malformed, "another host"},
		{"a link out of the service", func(m *mock) {
			m.bodies[rootLink] = `{"Chassis": {"@odata.id": "/redfish/v1/..%2f../cgi-bin/reset"}}`
		}, sensor.Malformed, "leads out of /redfish/"},
		{"a chassis without power", func(m *mock) {
			m.bodies["/redfish/v1/Chassis/1U"] = `{"Id": "1U"}`
		}, sensor.Absent, "power of a chassis"},
		{"0 W", func(m *mock) {
			m.bodies["/redfish/v1/Chassis/1U"] = `{"Id": "1U", "EnvironmentMetrics": {"@odata.id": "` + environment + `"}}`
			m.bodies[environment] = `{"PowerWatts": {"Reading": 0}}`
		}, sensor.Malformed, "0 W is no power of a running host"},
		{"100 001 W", func(m *mock) {
			m.bodies["/redfish/v1/Chassis/1U"] = `{"Id": "1U", "EnvironmentMetrics": {"@odata.id": "` + environment + `"}}`
			m.bodies[environment] = `{"PowerWatts": {"Reading": 100001}}`
		}, sensor.Malformed, "100001 W is no power"},
		{"a number beyond all numbers", func(m *mock) {
			m.bodies["/redfish/v1/Chassis/1U"] = `{"Id": "1U", "EnvironmentMetrics": {"@odata.id": "` + environment + `"}}`
			m.bodies[environment] = `{"PowerWatts": {"Reading": 1e999}}`
		}, sensor.Absent, "PowerWatts in EnvironmentMetrics"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := load(t, "modern")
			c.change(m)
			r := newSource(t, m.withCredentials(m.serve(t)))
			_, err := r.sample(t.Context())
			require.Error(t, err)
			p := newProblem(r.where(), err)
			assert.Equal(t, c.class, p.Class, p.Error())
			assert.Contains(t, p.Error(), c.words)
			assert.Same(t, p, problemOf(t, p))
		})
	}
}

func TestSampleEndsWithItsContext(t *testing.T) {
	m := load(t, "modern")
	r := newSource(t, m.serve(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.sample(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, m.asked())
}
