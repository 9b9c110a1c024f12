package bmc

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// choose finds the chassis whose power is that of the wanted chassis or system, or
// of the only one if want is empty. Power that several systems share is refused
// unless its chassis is named: a wrong host's energy is worse than none.
func choose(want string, all []chassisDoc, systems []systemDoc) (*chassisDoc, error) {
	fleet := fleet{all, systems}
	if want != "" {
		return fleet.named(want)
	}
	var found []*chassisDoc
	for i := range all {
		if all[i].powered() {
			found = append(found, &all[i])
		}
	}
	if len(found) == 0 {
		return nil, notOffered("power of a chassis")
	}
	serving := slices.DeleteFunc(slices.Clone(found), func(c *chassisDoc) bool { return fleet.served(c) == 0 })
	if len(serving) > 0 {
		found = serving // not those of drives and fans
	}
	if len(found) > 1 {
		return nil, fleet.refuse(fmt.Sprintf("%d chassis have power readings", len(found)), found)
	}
	c := found[0]
	if n := fleet.served(c); n > 1 || n == 0 && len(systems) > 1 {
		return nil, fleet.refuse(fmt.Sprintf("the power of chassis %q is that of %d systems", short(c.ID), max(n, len(systems))), found)
	}
	return c, nil
}

type fleet struct {
	chassis []chassisDoc
	systems []systemDoc
}

func (f fleet) named(want string) (*chassisDoc, error) {
	for i := range f.chassis {
		if c := &f.chassis[i]; isNamed(c.ID, c.Self, want) {
			if !c.powered() {
				return nil, notOffered(fmt.Sprintf("power of chassis %q", want))
			}
			return c, nil
		}
	}
	i := slices.IndexFunc(f.systems, func(s systemDoc) bool { return isNamed(s.ID, s.Self, want) })
	if i < 0 {
		return nil, f.refuse(fmt.Sprintf("there is no chassis and no system %q", want), f.powered())
	}
	var own, shared []*chassisDoc
	for _, c := range f.powered() {
		switch n := f.served(c); {
		case !f.serves(c, &f.systems[i]):
		case n == 1:
			own = append(own, c)
		default:
			shared = append(shared, c)
		}
	}
	switch {
	case len(own) == 1:
		return own[0], nil
	case len(own) > 1:
		return nil, f.refuse(fmt.Sprintf("%d chassis belong to system %q", len(own), want), own)
	case len(shared) > 0:
		return nil, f.refuse(fmt.Sprintf("system %q shares the power readings of its chassis with others", want), shared)
	}
	return nil, f.refuse(fmt.Sprintf("no chassis with power readings says that it belongs to system %q", want), f.powered())
}

func (f fleet) powered() []*chassisDoc {
	var found []*chassisDoc
	for i := range f.chassis {
		if f.chassis[i].powered() {
			found = append(found, &f.chassis[i])
		}
	}
	return found
}

func (c *chassisDoc) powered() bool {
	return c.PowerSubsystem.ID != "" || c.EnvironmentMetrics.ID != "" || c.Power.ID != ""
}

// served counts the systems of a chassis by the links of both sides.
func (f fleet) served(c *chassisDoc) int {
	var ids []string
	add := func(id string) {
		if id = trimLink(id); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, l := range c.Links.ComputerSystems {
		add(l.ID)
	}
	for i := range f.systems {
		if contains(f.systems[i].Links.Chassis, c.Self) {
			add(f.systems[i].Self)
		}
	}
	return len(ids)
}

func (f fleet) serves(c *chassisDoc, s *systemDoc) bool {
	return contains(c.Links.ComputerSystems, s.Self) || contains(s.Links.Chassis, c.Self)
}

func (f fleet) refuse(why string, offered []*chassisDoc) error {
	list := make([]string, 0, len(offered))
	for _, c := range offered {
		list = append(list, c.ID)
	}
	return &failure{
		cause:  fmt.Errorf("%s: %w", why, errAmbiguous),
		remedy: "set redfish chassis to the Id of the one that is this host's, among: " + quoted(list),
	}
}

// isNamed compares with the Id, with the last part of the link and with the link.
func isNamed(id, self, want string) bool {
	self = trimLink(self)
	return want == id || self != "" && (trimLink(want) == self || want == path.Base(self))
}

func sameLink(a, b string) bool { return a != "" && trimLink(a) == trimLink(b) }

func trimLink(id string) string { return strings.TrimSuffix(id, "/") }

func contains(links []link, id string) bool {
	return slices.ContainsFunc(links, func(l link) bool { return sameLink(l.ID, id) })
}

// quoted lists what a service calls its parts, in bounds.
func quoted(list []string) string {
	const most = 16
	var b strings.Builder
	for i, s := range list {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(list)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(short(s)))
	}
	return b.String()
}

func short(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
