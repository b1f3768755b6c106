package lora

// TargetsFor returns the layers that are adapted in a family of models unless told
// otherwise.
func TargetsFor(modelType string) []string { return DefaultTargets }
