// Package meter measures: how long things take, how much of the processor and
// of memory a server has used for them, and what was wrong. Processor time and
// memory come from /proc, so they are known on Linux only.
package meter
