package tables

import "bytes"

// LookupZone returns the row of the region that an availability zone belongs to,
// nil if the table has none. The second argument is the resource attribute
// cloud.availability_zone as detectors report it.
//
// The rule is the same for every provider: take what follows the last "/" or ":",
// in lower case; try it as the name of a region; else drop a letter that follows
// a digit (us-east-1a), else cut at the last "-" (us-central1-a, eastus-1,
// fsn1-dc14, us-west-2-lax-1a), and try again. Oracle's availability domains lose
// their -AD-1 and gain the "-1" that they often lack (Uocm:US-ASHBURN-AD-1). A
// zone that does not contain its region ("1" on Azure, "use1-az1" on AWS) leads
// nowhere.
//
// A local or wavelength zone (us-west-2-lax-1a) thereby gets the row of its parent
// region although it lies elsewhere. A row of its own, with the zone or its group
// (us-west-2-lax-1) as cloud.region, in the user's table takes precedence.
func (t *CloudTable) LookupZone(provider, availabilityZone string) *Cloud {
	if availabilityZone == "" {
		return nil
	}
	p := t.providers[provider]
	if p == nil {
		var a [maxName]byte
		if p = t.providers[string(fold(&a, provider, " -_"))]; p == nil {
			if p = t.providers[string(fold(&a, provider, ""))]; p == nil {
				return nil
			}
		}
	}
	var b [maxName]byte
	z := fold(&b, availabilityZone, " ")
	z = z[bytes.LastIndexAny(z, "/:")+1:]
	if p.name == "oracle_cloud" {
		if i := bytes.LastIndex(z, []byte("-ad-")); i > 0 {
			z = z[:i]
			if c := p.regions[string(z)]; c != nil {
				return c
			}
			z = append(z, "-1"...) // within the array: it is shorter than what was cut
		}
	}
	for len(z) > 0 {
		if c := p.regions[string(z)]; c != nil {
			return c
		}
		n := len(z)
		if n > 1 && isLower(z[n-1]) && isDigit(z[n-2]) {
			z = z[:n-1]
			continue
		}
		i := bytes.LastIndexByte(z, '-')
		if i < 0 {
			if p.name == "ovh" {
				return p.regions[string(withoutDigits(z))]
			}
			return nil
		}
		z = z[:i]
	}
	return nil
}

func withoutDigits(s []byte) []byte {
	for len(s) > 0 && isDigit(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// providerAliases maps names in use to those of the semantic conventions. Keys are
// as fold leaves them: lower case, without space, "-" and "_".
var providerAliases = map[string]string{
	"alibabacloud":  "alibaba_cloud",
	"alibaba":       "alibaba_cloud",
	"aliyun":        "alibaba_cloud",
	"alicloud":      "alibaba_cloud",
	"amazon":        "aws",
	"ec2":           "aws",
	"microsoft":     "azure",
	"google":        "gcp",
	"googlecloud":   "gcp",
	"gce":           "gcp",
	"hcloud":        "hetzner",
	"hetznercloud":  "hetzner",
	"ibmcloud":      "ibm_cloud",
	"ibm":           "ibm_cloud",
	"oraclecloud":   "oracle_cloud",
	"oracle":        "oracle_cloud",
	"oci":           "oracle_cloud",
	"tencentcloud":  "tencent_cloud",
	"tencent":       "tencent_cloud",
	"qcloud":        "tencent_cloud",
	"scalewaycloud": "scaleway_cloud",
	"scaleway":      "scaleway_cloud",
	"ovhcloud":      "ovh",
}

// regionAliases are names of locations that detectors report in place of the name
// of the region: Oracle's metadata service gives the four oldest regions by
// airport, OVH has codes of its data centers.
var regionAliases = []struct{ provider, alias, region string }{
	{"oracle_cloud", "phx", "us-phoenix-1"},
	{"oracle_cloud", "phx-1", "us-phoenix-1"}, // PHX-AD-1
	{"oracle_cloud", "iad", "us-ashburn-1"},
	{"oracle_cloud", "fra", "eu-frankfurt-1"},
	{"oracle_cloud", "lhr", "uk-london-1"},
	{"ovh", "lim", "de"}, // Limburg
	{"ovh", "eri", "uk"}, // Erith
	{"ovh", "syd", "ap-southeast-syd"},
	{"ovh", "ynm", "ap-south-mum"},
	{"ovh", "vin", "us-east-va"}, // Vint Hill
	{"ovh", "hil", "us-west-or"}, // Hillsboro
}
