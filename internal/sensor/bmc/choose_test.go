package bmc

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// box makes a chassis with a power meter that says which systems it serves.
func box(id string, systems ...string) chassisDoc {
	c := chassisDoc{Self: "/redfish/v1/Chassis/" + id, ID: id, Power: link{"/redfish/v1/Chassis/" + id + "/Power"}}
	for _, s := range systems {
		c.Links.ComputerSystems = append(c.Links.ComputerSystems, link{"/redfish/v1/Systems/" + s})
	}
	return c
}

func blind(c chassisDoc) chassisDoc { c.Power = link{}; return c }

func host(id string, chassis ...string) systemDoc {
	s := systemDoc{Self: "/redfish/v1/Systems/" + id, ID: id}
	for _, c := range chassis {
		s.Links.Chassis = append(s.Links.Chassis, link{"/redfish/v1/Chassis/" + c + "/"})
	}
	return s
}

func TestChoose(t *testing.T) {
	type (
		boxes = []chassisDoc
		hosts = []systemDoc
	)
	for _, c := range []struct {
		name    string
		want    string
		chassis boxes
		systems hosts
		got     string // or
		refused string
	}{
		{"the only one", "", boxes{box("1", "1")}, hosts{host("1")}, "1", ""},
		{"the only one, without links", "", boxes{box("1")}, nil, "1", ""},
		{"the only one with a meter", "", boxes{blind(box("disks", "1")), box("1", "1")}, hosts{host("1")}, "1", ""},
		{"the only one with a system", "", boxes{box("fans"), box("1", "1")}, hosts{host("1")}, "1", ""},
		{"the link stands in the system only", "", boxes{box("fans"), box("1")}, hosts{host("1", "1")}, "1", ""},
		{"none", "", nil, nil, "", "not offered"},
		{"none with a meter", "", boxes{blind(box("1"))}, nil, "", "not offered"},
		{"two with meters", "", boxes{box("a", "1"), box("b", "1")}, hosts{host("1")}, "", `"a", "b"`},
		{"C43 one chassis, two nodes", "", boxes{box("1", "A", "B")}, hosts{host("A"), host("B")}, "", "that of 2 systems"},
		{"C43 one chassis, two nodes, by the systems", "", boxes{box("1")}, hosts{host("A", "1"), host("B", "1")}, "", "that of 2 systems"},
		{"C43 one chassis, two nodes, no links", "", boxes{box("1")}, hosts{host("A"), host("B")}, "", "that of 2 systems"},
		{"both sides link the same system", "", boxes{box("1", "A")}, hosts{host("A", "1")}, "1", ""},
		{"named although shared", "1", boxes{box("1", "A", "B")}, hosts{host("A"), host("B")}, "1", ""},
		{"C43 a system of a shared chassis", "A", boxes{box("1", "A", "B")}, hosts{host("A"), host("B")}, "", "shares the power"},
		{"a system with two chassis", "A", boxes{box("1", "A"), box("2", "A")}, hosts{host("A")}, "", `2 chassis belong to system "A"`},
		{"a system without a chassis", "A", boxes{box("1")}, hosts{host("A")}, "", `no chassis with power readings`},
		{"a chassis goes before a system of its name", "1", boxes{box("1", "2"), box("2", "1")}, hosts{host("1"), host("2")}, "1", ""},
		{"a named one without a meter", "1", boxes{blind(box("1", "1")), box("2")}, hosts{host("1")}, "", "not offered"},
		{"case matters", "node1", boxes{box("Node1", "1")}, hosts{host("1")}, "", `"Node1"`},
		{"an Id other than the link's end", "x", boxes{{Self: "/redfish/v1/Chassis/7", ID: "x", Power: link{"p"}}}, nil, "x", ""},
		{"the link's end", "7", boxes{{Self: "/redfish/v1/Chassis/7", ID: "x", Power: link{"p"}}}, nil, "x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := choose(c.want, c.chassis, c.systems)
			if c.refused != "" {
				require.Error(t, err)
				assert.Contains(t, newProblem("", err).Error(), c.refused)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.got, got.ID)
		})
	}
}

func TestChooseListsInBounds(t *testing.T) {
	var many []chassisDoc
	for i := range 40 {
		many = append(many, box(fmt.Sprintf("%d\n%01000d", i, 0), "1"))
	}
	_, err := choose("", many, nil)
	p := newProblem("", err)
	assert.Contains(t, p.Remedy, "and 24 more")
	assert.NotContains(t, p.Error(), "\n")
	assert.Less(t, len(p.Error()), 2500)
}
