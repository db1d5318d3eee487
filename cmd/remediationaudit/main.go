// Command remediationaudit verifies a log of the remediation exporter's audit: that no record was changed, left out, inserted or
// moved.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
