package rte

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// record is a quarter of an hour. The columns date and heure are not read: they are
// local, and repeat an hour when summer time ends.
type record struct {
	Start *string         `json:"date_heure"` // with an offset
	Grams json.RawMessage `json:"taux_co2"`   // g/kWh; null, or no such key: no value
}

// decoder is what an answer is read with.
type decoder struct {
	rows.Ask

	widths intensity.HalfWidths
	origin intensity.Origin // of every slot, as far as it is the same
}

// decode returns what an answer has for what was asked, in the shape of the Explore API
// v2.1 or of the search API v1, which mirrors of the platform still have. It is pure.
func decode(body []byte, d decoder) (intensity.Series, error) {
	var answer struct {
		Results *[]record `json:"results"`
		Records *[]struct {
			Fields record `json:"fields"`
		} `json:"records"` // v1
		Message string `json:"message"`
		Code    string `json:"error_code"`
		Error   string `json:"error"` // v1
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return intensity.Series{}, d.Error(intensity.KindMalformed, "%v", err)
	}
	var slots []*intensity.Slot
	add := func(r *record, number func(json.RawMessage) (*float64, error)) error {
		s, err := d.slot(r, number)
		if s != nil {
			slots = append(slots, s)
		}
		return err
	}
	switch {
	case answer.Results != nil:
		for i := range *answer.Results {
			if err := add(&(*answer.Results)[i], number); err != nil {
				return intensity.Series{}, err
			}
		}
	case answer.Records != nil:
		for i := range *answer.Records {
			if err := add(&(*answer.Records)[i].Fields, numberV1); err != nil {
				return intensity.Series{}, err
			}
		}
	case answer.Message+answer.Code+answer.Error != "":
		kind := intensity.KindUpstream
		if strings.HasPrefix(answer.Code, "ODSQL") {
			kind = intensity.KindConfig // the query is wrong, and stays so
		}
		return intensity.Series{}, d.Error(kind, "status 200 with an error: %s%s", answer.Message, answer.Error)
	default:
		return intensity.Series{}, d.Error(intensity.KindMalformed, "the answer has neither results nor records")
	}
	return d.Series(slots)
}

// slot reads a record; one without a number is no slot.
func (d *decoder) slot(r *record, number func(json.RawMessage) (*float64, error)) (*intensity.Slot, error) {
	if r.Start == nil {
		return nil, d.Error(intensity.KindMalformed, "a record has no date_heure")
	}
	start, err := time.Parse(time.RFC3339, *r.Start)
	if err != nil {
		return nil, d.Error(intensity.KindMalformed, "date_heure is %q, want a time like 2006-01-02T15:04:05+00:00", *r.Start)
	}
	start = start.UTC()
	if !start.Equal(start.Truncate(step)) {
		return nil, d.Error(intensity.KindMalformed, "date_heure is %q, want a multiple of 15 minutes", *r.Start)
	}
	grams, err := number(r.Grams)
	if err != nil {
		return nil, d.Error(intensity.KindMalformed, "taux_co2 of %s is %s, want a number or null", *r.Start, r.Grams)
	}
	if grams == nil || start.After(d.Now) { // RTE publishes no forecast of it
		return nil, nil
	}
	s := &intensity.Slot{
		Start: start, End: start.Add(step), GramsPerKWh: *grams, Basis: basis(),
		// However old: consolidated values are in another data set.
		Quality: intensity.Preliminary, Origin: d.origin,
	}
	s.Spread = d.widths.Spread(s.Quality, intensity.Circumstances{Length: step})
	return s, nil
}

// number reads what v2.1 sends.
func number(raw json.RawMessage) (*float64, error) {
	var n *float64
	if len(raw) == 0 {
		return nil, nil
	}
	err := json.Unmarshal(raw, &n)
	return n, err
}

// numberV1 reads what v1 sends: the same column holds numbers, numbers as text, and "ND"
// (non disponible).
func numberV1(raw json.RawMessage) (*float64, error) {
	if !bytes.HasPrefix(raw, []byte(`"`)) {
		return number(raw)
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	if text == "ND" || text == "" {
		return nil, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	return &n, err
}
