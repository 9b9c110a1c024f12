package bmc

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The resources of Redfish (DMTF DSP8010), as far as they matter here. A property
// that is null, missing or of another type is left at its zero value.

type link struct {
	ID string `json:"@odata.id"`
}

type rootDoc struct {
	Chassis link
	Systems link
	Links   struct{ Sessions link }
}

type collectionDoc struct {
	Members []link
	Next    string `json:"Members@odata.nextLink"`
}

type chassisDoc struct {
	Self               string `json:"@odata.id"`
	ID                 string `json:"Id"`
	PowerSubsystem     link
	EnvironmentMetrics link
	Power              link
	Links              struct{ ComputerSystems []link }
}

type systemDoc struct {
	Self  string `json:"@odata.id"`
	ID    string `json:"Id"`
	Links struct{ Chassis []link }
}

type subsystemDoc struct {
	PowerSupplies link
}

type supplyDoc struct {
	ID              string `json:"Id"`
	PowerSupplyType string // AC, DC, ACorDC, DCregulated
	Status          struct{ State string }
	Metrics         link
}

// metricsDoc is PowerSupplyMetrics and EnvironmentMetrics.
type metricsDoc struct {
	InputPowerWatts  excerpt
	OutputPowerWatts excerpt
	PowerWatts       excerpt
	EnergykWh        excerpt
}

type excerpt struct {
	Reading number
}

type powerDoc struct {
	PowerControl []controlDoc
}

type controlDoc struct {
	Name               string
	PhysicalContext    string
	PowerConsumedWatts number
	RelatedItem        []link
}

// number is a JSON number; null, text and what does not fit a float64 are not ok.
type number struct {
	value float64
	ok    bool
}

// UnmarshalJSON implements json.Unmarshaler. It never fails, so that one odd value
// does not hide the others.
func (n *number) UnmarshalJSON(b []byte) error {
	var v *float64
	*n = number{}
	if json.Unmarshal(b, &v) == nil && v != nil {
		*n = number{*v, true}
	}
	return nil
}

// decode reads a resource, which is an object.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if odd := (*json.UnmarshalTypeError)(nil); errors.As(err, &odd) && odd.Field != "" {
		return nil // one property; the rest was read
	}
	if err != nil { // not the body itself: it is not ours
		return fmt.Errorf("the answer is no JSON object: %w", errMalformed)
	}
	return nil
}

// whole gives the entry of PowerControl that is the power of the whole chassis.
// Beside it there may be entries for processors and memory, or for other nodes.
func (d *powerDoc) whole(c *chassisDoc) (number, error) {
	entries := d.PowerControl
	if len(entries) == 0 {
		return number{}, notOffered("PowerControl")
	}
	if len(entries) == 1 {
		return entries[0].PowerConsumedWatts, nil
	}
	for _, fits := range []func(*controlDoc) bool{c.relates, onChassis} {
		var found []number
		for i := range entries {
			if fits(&entries[i]) {
				found = append(found, entries[i].PowerConsumedWatts)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	list := make([]string, 0, len(entries))
	for i := range entries {
		list = append(list, entries[i].Name)
	}
	return number{}, fmt.Errorf("PowerControl has %s, and which is the whole chassis is not said: %w", quoted(list), errAmbiguous)
}

func onChassis(e *controlDoc) bool { return e.PhysicalContext == "Chassis" }

func (c *chassisDoc) relates(e *controlDoc) bool {
	for _, l := range e.RelatedItem {
		if sameLink(l.ID, c.Self) || contains(c.Links.ComputerSystems, l.ID) {
			return true
		}
	}
	return false
}
