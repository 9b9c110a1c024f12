//go:build !linux

package cputimetest

import "time"

var begin = time.Now()

func threadTime() time.Duration { return time.Since(begin) }
