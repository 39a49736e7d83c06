package main

import (
	"flag"
	"fmt"
	"strconv"
)

// maxNumber bounds all numbers of things.
const maxNumber = 10_000_000

// bounded defines a flag for a number of things.
func bounded(set *flag.FlagSet, name string, value int, usage string) *int {
	set.Func(name, fmt.Sprintf("`number`: %s (default %d)", usage, value), func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > maxNumber {
			return fmt.Errorf("want a number up to %d", maxNumber)
		}
		value = n
		return nil
	})
	return &value
}
