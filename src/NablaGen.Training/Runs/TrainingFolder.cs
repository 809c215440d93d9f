namespace NablaGen.Training.Runs;

/// <summary>Where a training keeps its own files: the folder <c>training</c> in the model folder.</summary>
/// <param name="folder">The model folder.</param>
/// <param name="name">The trainer's name.</param>
public sealed class TrainingFolder(string folder, string name)
{
    private readonly string _path = System.IO.Path.Combine(folder, "training");

    /// <summary>The plan.</summary>
    public string Plan => File("plan.json");

    /// <summary>The state to resume from.</summary>
    public string State => File("state.safetensors");

    /// <summary>The course of the loss.</summary>
    public string Log => File("loss.jsonl");

    /// <summary>The same as a picture.</summary>
    public string Plot => File("loss.png");

    /// <summary>What the model made at a step.</summary>
    public string Picture(int step) => File($"{step:000000}.png");

    /// <summary>Whether a model folder has anything that was learnt: a training's state, or weights.</summary>
    public static bool HasWeights(string folder) => Directory.Exists(folder)
        && Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Any(file => System.IO.Path.GetExtension(file) is ".safetensors" or ".pth");

    private string File(string ending) => System.IO.Path.Combine(_path, $"{name}.{ending}");
}
