package place_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
)

// finder covers East Denmark and Great Britain, and says why not Denmark.
func finder() place.Finder {
	return place.Finder{
		Provider: "test", Covers: "GB and DK-DK2",
		Own: func(key string) (string, error) {
			switch key {
			case "GB":
				return "britain", nil
			case "DK-DK2":
				return "east", nil
			case "GB-SCT":
				return "scotland", nil
			case "DK":
				return "", &intensity.Error{Kind: intensity.KindZone, Provider: "test", Detail: "two areas"}
			}
			return "", nil
		},
	}
}

func TestTheFirstFieldThatNamesAPlaceDecides(t *testing.T) {
	for _, c := range []struct {
		name string
		loc  intensity.Location
		want string
		err  string
	}{
		{"zone", intensity.Location{Zone: " gb ", Country: "FR"}, "britain", ""},
		{"another zone, whatever follows", intensity.Location{Zone: "FR", Country: "GB"}, "", `zone "FR" is not covered; test covers GB and DK-DK2`},
		{"a misspelled zone, whatever follows", intensity.Location{Zone: "DK-DK3", Country: "GB"}, "", "did you mean DK-DK1?"},
		{"a retired zone", intensity.Location{Zone: "GB-ORK"}, "", "retired"},
		{"a zone that is none as a whole", intensity.Location{Zone: "DK"}, "", "two areas"},
		{"cloud region", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-2", Country: "FR"}, "britain", ""},
		{"availability zone", intensity.Location{CloudProvider: "aws", CloudZone: "eu-west-2a"}, "britain", ""},
		{"cloud region of a zone that is no country", intensity.Location{CloudProvider: "azure", CloudRegion: "denmarkeast"}, "east", ""},
		{"cloud region elsewhere", intensity.Location{CloudProvider: "aws", CloudRegion: "us-east-1", Country: "GB"}, "", "aws/us-east-1 lies in US-MIDA-PJM"},
		{"unknown cloud region beside a country", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-22", Country: "GB"}, "britain", ""},
		{"unknown cloud region alone", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-22"}, "", "did you mean eu-west-2?"},
		{"subdivision that the provider has", intensity.Location{Country: "GB", Subdivision: "gb-sct"}, "scotland", ""},
		{"subdivision that is a grid of its own", intensity.Location{Subdivision: "GB-NIR"}, "", `subdivision "GB-NIR" is not covered`},
		{"any other subdivision", intensity.Location{Subdivision: "GB-LND"}, "britain", ""},
		{"subdivision of another country", intensity.Location{Country: "GB", Subdivision: "US-VA"}, "britain", ""},
		{"country", intensity.Location{Country: "gb"}, "britain", ""},
		{"another country", intensity.Location{Country: "FR", Default: "GB"}, "", `country "FR" is not covered`},
		{"position", intensity.Location{Point: &intensity.LatLon{Lat: 51.5, Lon: -0.12}}, "britain", ""},                          // London
		{"position in a part of a country", intensity.Location{Point: &intensity.LatLon{Lat: 55.23, Lon: 11.76}}, "east", ""},     // Næstved
		{"position in two boxes", intensity.Location{Point: &intensity.LatLon{Lat: 54.9, Lon: -5.9}}, "", "say which zone it is"}, // Larne
		{"position elsewhere", intensity.Location{Point: &intensity.LatLon{Lat: 40.4, Lon: -3.7}}, "", "lies in ES"},              // Madrid
		{"position at 0,0", intensity.Location{Point: &intensity.LatLon{}}, "", "position 0,0 lies in the box of no zone"},        // a place, in the sea
		{"position in the sea and a default", intensity.Location{Point: &intensity.LatLon{}, Default: "GB"}, "britain", ""},
		{"default", intensity.Location{Default: "DK-DK2"}, "east", ""},
		{"nothing", intensity.Location{}, "", "no place was given; test covers GB and DK-DK2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := finder().Find(c.loc)
			if c.err == "" {
				require.NoError(t, err)
				assert.Equal(t, c.want, got)
				return
			}
			require.ErrorIs(t, err, intensity.KindZone)
			require.ErrorContains(t, err, c.err)
			e, ok := errors.AsType[*intensity.Error](err)
			require.True(t, ok)
			assert.Equal(t, "test", e.Provider)
		})
	}
}
