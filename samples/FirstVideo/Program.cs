using NablaGen.Generation;

using var pipeline = TextToVideo.Open(args[0]);
var options = new PartialRequest { Frames = 17, Steps = 20 };
var result = pipeline.Generate("A red ball bounces in a meadow", "meadow.mp4", options);
Console.WriteLine($"{result.Path}: {result.Density:0.00} of the attention, seed {result.Recipe.Seed}");
