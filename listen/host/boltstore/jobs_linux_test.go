package boltstore

func addSystemJobs(jobs map[string]func([]string) error) {
	jobs["sets"], jobs["limit"] = setsJob, limitJob
}
