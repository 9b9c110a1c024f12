package sysfs

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseCountC17(t *testing.T) {
	for content, want := range map[string]uint64{
		"0\n": 0, "17": 17, " \t17\r\n": 17, "17\n\x00\x00": 17, "00017\n": 17, "18446744073709551615\n": math.MaxUint64,
	} {
		n, ok := ParseCount([]byte(content))
		assert.True(t, ok, "%q", content)
		assert.Equal(t, want, n, "%q", content)
	}
	for _, content := range []string{
		"", "\n", "18446744073709551616", strings.Repeat("1", 30), "-17", "+17", "0x17", "17.5", "17 18", "1\x007", "1_7", "١٧",
	} {
		_, ok := ParseCount([]byte(content))
		assert.False(t, ok, "%q", content)
	}
}

func TestIsNegative(t *testing.T) {
	for content, want := range map[string]bool{
		"-1\n": true, " -40 ": true, "-9223372036854775808\n": true,
		"1": false, "-": false, "--1": false, "-1.5": false, "": false, "-x": false,
	} {
		assert.Equal(t, want, IsNegative([]byte(content)), "%q", content)
	}
}

func TestParseIndexAndText(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "7": 7, "999999": 999999} {
		n, ok := ParseIndex(text)
		assert.True(t, ok)
		assert.Equal(t, want, n)
	}
	for _, text := range []string{"", "01", "1000000", "-1", "x", "1 "} {
		_, ok := ParseIndex(text)
		assert.False(t, ok, "%q", text)
	}
	for content, want := range map[string]string{"CPU power\n": "CPU power", "VDD_IN": "VDD_IN", "x\n\x00": "x"} {
		s, ok := ParseText([]byte(content))
		assert.True(t, ok)
		assert.Equal(t, want, s)
	}
	for _, content := range []string{"", "\n", "a\nb", "a\x00b", "ä", "\x1b[0m"} {
		_, ok := ParseText([]byte(content))
		assert.False(t, ok, "%q", content)
	}
}

func FuzzC24Parse(f *testing.F) {
	for _, seed := range []string{"48213576291\n", "-1\n", "CPU power\n", "0x1", "\x00", "18446744073709551616"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		_, isCount := ParseCount(b)
		text, isText := ParseText(b)
		if isCount && IsNegative(b) || isCount && !isText {
			t.Errorf("%q: count %v, negative %v, text %v", b, isCount, IsNegative(b), isText)
		}
		if again, ok := ParseText([]byte(text)); isText && (!ok || again != text) {
			t.Errorf("%q is read as %q, and that as %q", b, text, again)
		}
		if !bytes.Equal(before, b) {
			t.Error("the content was changed")
		}
	})
}
