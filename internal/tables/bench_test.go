package tables

import (
	"testing"

	"github.com/otelcarbon/otelcarbon"
	"github.com/otelcarbon/otelcarbon/data"
)

func BenchmarkCloudLookup(b *testing.B) {
	t := Clouds()
	for _, c := range []struct{ name, provider, region string }{
		{"as reported", "aws", "us-east-1"},
		{"capitals", "Azure", "EastUS2"},
		{"unknown", "aws", "us-east-9"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t.Lookup(c.provider, c.region)
			}
		})
	}
}

func BenchmarkCloudLookupZone(b *testing.B) {
	t := Clouds()
	b.ReportAllocs()
	for b.Loop() {
		t.LookupZone("aws", "us-east-1a")
	}
}

func BenchmarkGridLookup(b *testing.B) {
	t := Grids()
	b.ReportAllocs()
	for b.Loop() {
		t.Lookup("US-VA", "any", 2024)
	}
}

func BenchmarkCPULookup(b *testing.B) {
	t := CPUs()
	b.ReportAllocs()
	for b.Loop() {
		t.Lookup("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz")
	}
}

func BenchmarkInstanceLookup(b *testing.B) {
	t := Instances()
	for _, c := range []struct{ name, typ string }{{"as reported", "Standard_D2s_v3"}, {"other case", "standard_d2s_v3"}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t.Lookup("azure", c.typ)
			}
		})
	}
}

// First use, as a program pays it once.

func BenchmarkFirstUseOfClouds(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		rows, err := parseClouds("clouds.csv", otelcarbon.CloudsCSV())
		if err != nil {
			b.Fatal(err)
		}
		newCloudTable(rows)
	}
}

func BenchmarkFirstUseOfGrids(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseGrids(data.Grids())
	}
}

func BenchmarkFirstUseOfCPUs(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		(&CPUTable{rows: newSorted(data.CPUs())}).Lookup("AMD EPYC 9654 96-Core Processor")
	}
}

func BenchmarkCheck(b *testing.B) {
	for b.Loop() {
		Check()
	}
}
