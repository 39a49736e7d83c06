//go:build !linux

package boltstore

func addSystemJobs(map[string]func([]string) error) {}
