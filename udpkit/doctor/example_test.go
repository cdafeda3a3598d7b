package doctor_test

import (
	"context"
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/doctor"
)

// What is wrong here, and what to do next?
func Example() {
	report, err := doctor.Examine(context.Background(), doctor.Config{Port: 37020})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Findings {
		fmt.Printf("%s: %s\n  Next: %s\n", f.Severity, f.Text, f.Next)
	}
}
