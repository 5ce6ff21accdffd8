// Prints what each object of a database refers to, as SQL Server's own tools resolve it (Microsoft's DacFx).
//
//     binder DIRECTORY
//
// reads every *.sql file of DIRECTORY, one statement each, as one database, and prints lines of three fields, separated by tabs:
//
//     refers   OBJECT  REFERENCE    both as "Kind [schema].[name]"; a reference may be a column, a parameter or a type;
//                                   its kind is ? where it cannot be resolved
//     refused  FILE    MESSAGE      the file is left out

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.SqlServer.Dac.Model;

public static class Binder
{
    public static int Main(string[] arguments)
    {
        var files = Directory.GetFiles(arguments[0], "*.sql").OrderBy(path => path, StringComparer.Ordinal).ToArray();
        using (var model = Empty())
        {
            foreach (var path in Accepted(files))
                model.AddOrUpdateObjects(File.ReadAllText(path), path, new TSqlObjectOptions());
            foreach (var found in model.GetObjects(DacQueryScopes.UserDefined))
            {
                var references = new SortedSet<string>(References(found), StringComparer.Ordinal);
                foreach (var reference in references)
                    Print("refers", Called(found), reference);
            }
        }
        return 0;
    }

    static TSqlModel Empty()
    {
        return new TSqlModel(SqlServerVersion.Sql150, new TSqlModelOptions());
    }

    // A model that refused a text takes no other one.
    static IEnumerable<string> Accepted(IEnumerable<string> files)
    {
        var trial = Empty();
        foreach (var path in files)
        {
            string refused = null;
            try
            {
                trial.AddOrUpdateObjects(File.ReadAllText(path), path, new TSqlObjectOptions());
            }
            catch (Exception error)
            {
                refused = error.Message;
                trial.Dispose();
                trial = Empty();
            }
            if (refused == null)
                yield return path;
            else
                Print("refused", Path.GetFileName(path), refused);
        }
        trial.Dispose();
    }

    static IEnumerable<string> References(TSqlObject found)
    {
        foreach (var to in found.GetReferencedRelationshipInstances(DacExternalQueryScopes.All))
            yield return Called(to);
        foreach (var child in found.GetChildren(DacQueryScopes.All))
            foreach (var to in child.GetReferencedRelationshipInstances(DacExternalQueryScopes.All))
                yield return Called(to);
    }

    static string Called(ModelRelationshipInstance to)
    {
        return to.Object != null ? Called(to.Object) : "? " + Quoted(to.ObjectName);
    }

    static string Called(TSqlObject found)
    {
        return found.ObjectType.Name + " " + Quoted(found.Name);
    }

    static string Quoted(ObjectIdentifier name)
    {
        return string.Join(".", name.Parts.Select(part => "[" + part.Replace("]", "]]") + "]"));
    }

    static void Print(params string[] fields)
    {
        Console.WriteLine(string.Join("\t", fields.Select(field => field.Replace('\t', ' ').Replace('\r', ' ').Replace('\n', ' '))));
    }
}
