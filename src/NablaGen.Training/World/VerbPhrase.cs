namespace NablaGen.Training.World;

/// <summary>A verb in the forms that captions use, and what follows it ("up and down").</summary>
internal readonly record struct VerbPhrase(string Third, string Gerund, string Plural, string Rest)
{
    /// <summary>"bounces up and down".</summary>
    public string One => Join(Third);

    /// <summary>"bouncing up and down".</summary>
    public string Doing => Join(Gerund);

    /// <summary>"bounce up and down".</summary>
    public string Many => Join(Plural);

    private string Join(string verb) => Rest.Length == 0 ? verb : $"{verb} {Rest}";
}
