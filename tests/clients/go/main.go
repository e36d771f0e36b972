// Asks a sidecar with the Go client: requests on standard input, a decision a line on
// standard output, then what became of a request that cannot be decided.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"example.org/clients/tollgate"
)

func main() {
	client := tollgate.New(os.Args[1], time.Minute)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var request tollgate.Request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			panic(err)
		}
		decision, err := client.Decide(context.Background(), request)
		if err != nil {
			panic(err)
		}
		probability := -1.0
		if decision.Probability != nil {
			probability = *decision.Probability
		}
		out, _ := json.Marshal([]any{decision.DecisionID, decision.Action, probability, len(decision.Reasons)})
		fmt.Println(string(out))
	}
	odd := tollgate.Request{Features: map[string]any{}, States: map[string]string{"asn_risk": "odd"}}
	_, err := client.Decide(context.Background(), odd)
	var problem *tollgate.Problem
	if !errors.As(err, &problem) {
		panic(fmt.Sprint("no problem: ", err))
	}
	fmt.Println(problem.Code, problem.Status)
}
