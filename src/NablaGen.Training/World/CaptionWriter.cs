namespace NablaGen.Training.World;

internal static class CaptionWriter
{
    public static string Write(Scene scene, SplitMix64 random) => "";
}
