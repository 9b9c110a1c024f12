package bmc

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The request and the answer of Get Power Reading, DCMI v1.5 rev. 1.0, 6.6.1.
const (
	dcmiNetFn        = 0x2c // group extension
	dcmiGroup        = 0xdc
	dcmiPowerReading = 0x02
	dcmiStatistics   = 0x01 // mode: system power statistics
	dcmiLength       = 19   // with the completion code
	dcmiActive       = 1 << 6
)

func dcmiRequest() []byte { return []byte{dcmiGroup, dcmiStatistics, 0, 0} }

// dcmiName leaves the side open, since the standard does.
const dcmiName = "chassis power by DCMI (AC or DC side: as its maker built it)"

// decodeDCMI reads an answer that begins with the completion code.
func decodeDCMI(b []byte, at time.Time) (sample, error) {
	if len(b) == 0 {
		return sample{}, fmt.Errorf("an empty answer: %w", errMalformed)
	}
	if b[0] != 0 {
		return sample{}, completion(b[0])
	}
	if len(b) < dcmiLength {
		return sample{}, fmt.Errorf("%d bytes instead of %d: %w", len(b), dcmiLength, errMalformed)
	}
	if b[1] != dcmiGroup {
		return sample{}, fmt.Errorf("group 0x%02x instead of 0x%02x: %w", b[1], dcmiGroup, errMalformed)
	}
	if b[18]&dcmiActive == 0 {
		return sample{}, &failure{
			cause:  fmt.Errorf("the power measurement is not active: %w", errMissing),
			remedy: "switch power monitoring on in the set-up of the management controller",
		}
	}
	power, err := plausible(float64(binary.LittleEndian.Uint16(b[2:])))
	if err != nil {
		return sample{}, err
	}
	s := sample{at: at, power: power, name: dcmiName}
	// IPMI v2.0, 37.1: 0xffffffff is no time; some controllers leave it 0.
	if clock := binary.LittleEndian.Uint32(b[10:]); clock != 0 && clock != 0xffffffff {
		s.stamp = string(b[2:18]) // current, least, most, mean, time, period
	}
	return s, nil
}

// completion says what a completion code means (IPMI v2.0, table 5-2).
func completion(code byte) error {
	switch code {
	case 0xc1, 0xcb, 0xcc: // invalid command, not present, invalid data field
		return notOffered(fmt.Sprintf("DCMI power reading (completion code 0x%02x)", code))
	case 0xd4: // insufficient privilege, or firmware firewall
		return &failure{
			cause:  fmt.Errorf("DCMI power reading (completion code 0x%02x): %w", code, errDenied),
			remedy: "the controller's firewall blocks the command from the host: allow it there, or use Redfish",
		}
	case 0xc0:
		return fmt.Errorf("the controller is busy (completion code 0x%02x)", code)
	case 0xc3:
		return fmt.Errorf("the controller timed out (completion code 0x%02x)", code)
	}
	return fmt.Errorf("DCMI power reading: completion code 0x%02x", code)
}
