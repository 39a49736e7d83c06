package boltstore

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv names what this program does as the child of a test.
const childEnv = "BOLTSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := childJobs()[job](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// childJobs are what tests have children do. Those of a job are its arguments.
func childJobs() map[string]func(args []string) error {
	jobs := map[string]func([]string) error{"hold": holdJob, "load": loadJob, "part": partJob}
	addSystemJobs(jobs)
	return jobs
}
