package electricitymaps

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// meaning is the kind that the body of a refusal tells, 0 if it tells no more than the
// status does.
func meaning(a *wire.Answer, route string) intensity.Kind {
	var body struct{ Error, Message string }
	_ = json.Unmarshal(a.Body, &body) // any other text says nothing
	said := strings.ToLower(body.Error + " " + body.Message)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch a.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		switch {
		// The last two are older wording.
		case has("request unauthorized for zonekey", "you do not have access", "endpoint not available", "token unauthorized for zonekey"):
			return intensity.KindPlan
		case a.Status == http.StatusBadRequest && route == forecast && has("horizon"):
			return intensity.KindPlan // those that are sent exist
		case a.Status == http.StatusBadRequest && has("zone", "node", "location"):
			return intensity.KindZone
		}
	case http.StatusNotFound:
		switch {
		// From the gateway: the path is wrong, whatever the zone.
		case body.Error == "" && has("no route"), a.IsHTML():
			return intensity.KindConfig
		case has("no recent data"):
			return intensity.KindNoData
		case has("zone") && has("not found", "unknown", "invalid", "does not exist", "not supported"):
			return intensity.KindZone
		}
	}
	return 0
}
