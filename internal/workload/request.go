package workload

import "math"

// maxMilli is more than any machine has: bounds the request of a group.
const maxMilli = 1 << 24

// milliOfShares is what Kubernetes has made shares of: 1024 for a CPU, 2 for none
// (pkg/kubelet/cm/helpers_linux.go, MilliCPUToShares).
func milliOfShares(shares uint64) uint32 {
	if shares <= 2 || shares > maxMilli {
		return 0
	}
	return uint32((shares*1000 + 512) / 1024)
}

// weightOfShares is the older formula from the shares of a container to its weight in
// version 2 (runc before 1.3.2, crun before 1.23).
func weightOfShares(shares uint64) uint64 { return 1 + ((shares-2)*9999)/262142 }

// newWeightOfShares is the newer one, which keeps the ratio to groups that have the
// default weight: 1024 shares are a weight of 100 (containers/crun, src/libcrun/cgroup-utils.c;
// opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value).
func newWeightOfShares(shares uint64) uint64 {
	switch {
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// milliOfWeight reverses them: the middle of the shares which have that weight, since
// weights are coarser. With the older formula one step is 26 shares, 26 thousandths of
// a CPU.
func milliOfWeight(weight uint64, newer bool) uint32 {
	if weight <= 1 || weight > 10000 {
		return 0
	}
	if !newer {
		// shares that are rounded down to weight: [2+(w−1)·26.2166, 2+w·26.2166)
		low := 2 + ((weight-1)*262142+9998)/9999
		high := 2 + (weight*262142-1)/9999
		return milliOfShares((low + high) / 2)
	}
	first := func(w uint64) uint64 { // the first shares of at least that weight
		low, high := uint64(2), uint64(262144)
		for low < high {
			if mid := (low + high) / 2; newWeightOfShares(mid) >= w {
				high = mid
			} else {
				low = mid + 1
			}
		}
		return low
	}
	return milliOfShares((first(weight) + first(weight+1)) / 2)
}

// isNewer says which formula the runtime of this machine uses, from the weight of
// kubepods, whose request are all CPUs less what is reserved for the system. By the
// older formula it has at most the weight of all CPUs, so a larger one is of the newer.
//
// A weight of the newer formula is taken for one of the older, and too large a request
// told for all pods alike, where more is reserved for the system than the formulas
// differ by: half of the CPUs of a machine with 4, a fifth of 64, a twentieth of 192.
//
// The kubelet writes the weight of kubepods and of pods itself, by the formula of the
// release of opencontainers/cgroups that it was built with. That of containers is the
// runtime's. A node of which one is older than the other is taken for one like kubepods.
func isNewer(kubepods uint64, cpus int) bool {
	return cpus > 0 && kubepods > weightOfShares(max(2, min(uint64(cpus)*1024, 262144)))
}
